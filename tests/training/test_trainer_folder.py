"""Trainings that write into a folder, stop there and go on."""

import pytest
import torch
from small_trainings import ADAM, CLASSES, INPUTS, VALUES, Examples, assert_same, network, trainer_of, weights
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from conductance.errors import InputError, RunError
from conductance.runs import Run, RunFolder, load_run
from conductance.training import TrainingConfig


class Interrupting:
    """Stops a training the hard way, in the middle of an epoch."""

    def __init__(self, at):
        self.at = at

    def on_step(self, trainer):
        if trainer.step == self.at:
            raise KeyboardInterrupt


LOADER = DataLoader(Examples(), 16, shuffle=True, generator=torch.Generator())


@pytest.mark.parametrize("data", [(INPUTS, CLASSES), Examples(), LOADER], ids=["arrays", "dataset", "loader"])
@pytest.mark.parametrize("optimizer", [None, lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)])
def test_a_resumed_training_is_the_uninterrupted_one(data, optimizer, tmp_path):
    def trainer(folder, callbacks=()):
        if isinstance(data, DataLoader):
            data.generator.manual_seed(0)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        config = TrainingConfig(epochs=4, batch_size=16, accumulate=2, optimizer=ADAM)
        return trainer_of(model, data, config, optimizer=optimizer, folder=tmp_path / folder, callbacks=callbacks)

    whole = trainer("whole")
    whole.fit()
    broken = trainer("parts", [Interrupting(5)])
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert len(RunFolder(tmp_path / "parts").read_checkpoint()["metrics"]) == 2
    resumed = trainer("parts")
    resumed.fit(resume=True)
    assert_same(weights(whole.network), weights(resumed.network))
    assert [epoch["train_loss"] for epoch in whole.history] == [epoch["train_loss"] for epoch in resumed.history]
    assert whole.step == resumed.step == 8


def test_a_finished_training_is_loaded(tmp_path):
    first = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    history = first.fit()
    files = {file.name for file in (tmp_path / "run").iterdir()}
    assert files == {"config.json", "metrics.jsonl", "model.safetensors", "predictions.npz", "summary.json"}
    again = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    assert again.fit(resume=True) == history
    assert_same(weights(first.network), weights(again.network))


def test_a_regression_is_kept_too(tmp_path):
    history = trainer_of(network(), (INPUTS, VALUES), loss=F.mse_loss, folder=tmp_path / "run").fit()
    again = trainer_of(network(), (INPUTS, VALUES), loss=F.mse_loss, folder=tmp_path / "run")
    assert again.fit(resume=True) == history


def test_a_finished_training_can_be_reported(tmp_path):
    from conductance.report import summarize
    from conductance.runs import load_runs

    trainer = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    trainer.fit()
    (row,) = summarize(load_runs([tmp_path]))
    assert row.architecture == "Sequential"


def test_the_optimizer_that_was_given_is_what_is_recorded(tmp_path):
    def trainer(optimizer):
        return trainer_of(network(), (INPUTS, CLASSES), optimizer=optimizer, folder=tmp_path / "run")

    trainer(lambda model: torch.optim.SGD(model.parameters(), 0.25, momentum=0.5)).fit()
    recorded = Run(tmp_path / "run").settings["optimizer"]
    assert (recorded["name"], recorded["lr"], recorded["momentum"]) == ("SGD", 0.25, 0.5)
    with pytest.raises(RunError, match=r"optimizer.lr is 0.25 there, 0.5 here"):
        trainer(lambda model: torch.optim.SGD(model.parameters(), 0.5, momentum=0.5)).fit(resume=True)


def test_a_network_of_ones_own_cannot_be_built_from_its_folder(tmp_path):
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    with pytest.raises(RunError, match="is of a network of your own, which no config describes; build the network"):
        load_run(tmp_path / "run")


def test_a_folder_of_another_training_is_refused(tmp_path):
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    with pytest.raises(RunError, match="already holds a run"):
        trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    other = trainer_of(network(3), (INPUTS, CLASSES), folder=tmp_path / "run")
    with pytest.raises(RunError, match=r"holds another run \(model.parameters is 74 there, 83 here\)"):
        other.fit(resume=True)
    with pytest.raises(InputError, match="resume needs the folder of a run"):
        trainer_of(network(), (INPUTS, CLASSES)).fit(resume=True)


def test_data_that_are_refused_leave_no_run(tmp_path):
    with pytest.raises(InputError):
        trainer_of(network(), (INPUTS, CLASSES + 1), folder=tmp_path / "run").fit()
    assert not (tmp_path / "run" / "config.json").exists()
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()


def test_fit_goes_on_where_it_was_stopped(tmp_path):
    stopping = Interrupting(5)
    trainer = trainer_of(network(), (INPUTS, CLASSES), callbacks=[stopping], folder=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert len(trainer.fit()) == 20
    assert RunFolder(tmp_path / "run").finished
