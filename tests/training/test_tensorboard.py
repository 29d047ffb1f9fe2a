"""What a training tells TensorBoard."""

import sys

import pytest
import torch
from torch import nn

from conductance.analysis.observe import observe
from conductance.errors import ConductanceError, InputError
from conductance.nn import CWALinear
from conductance.training import TensorBoard, Trainer, TrainingConfig
from tiny_runs import run, tiny, weights

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

INPUTS, CLASSES = torch.rand(40, 6), torch.arange(40) % 3


def trainer_of(folder=None, callbacks=(), epochs=3):
    torch.manual_seed(0)
    network = nn.Sequential(CWALinear(6, 5, doubled_input=True), CWALinear(5, 4), nn.Linear(4, 3))
    config = TrainingConfig(epochs=epochs, batch_size=10)
    return Trainer(
        network,
        (INPUTS, CLASSES),
        config,
        test=(INPUTS, CLASSES),
        callbacks=callbacks,
        folder=folder,
        device="cpu",
        progress=False,
    )


def events_in(folder):
    events = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0})
    events.Reload()
    return events


def test_it_has_every_metric_of_every_epoch(tmp_path):
    trainer = trainer_of(tmp_path / "run", [TensorBoard()])
    history = trainer.fit()
    events = events_in(tmp_path / "run/tensorboard")
    for tag, name in (("loss/train", "train_loss"), ("accuracy/test", "test_accuracy"), ("learning_rate",) * 2):
        seen = [(event.step, event.value) for event in events.Scalars(tag)]
        assert seen == [(line["epoch"], pytest.approx(line[name])) for line in history]


def test_it_has_conductances_and_balance_of_each_layer(tmp_path):
    trainer = trainer_of(callbacks=[TensorBoard(tmp_path, every=2)])
    trainer.fit()
    events = events_in(tmp_path)
    for seen in observe(trainer.network, INPUTS[:10]):
        kinds = [f"conductance/{seen.name}/{kind}" for kind in ("excitatory", "inhibitory")]
        counted = [events.Histograms(tag)[-1].histogram_value for tag in kinds]
        assert sum(each.num for each in counted) == seen.layer.conductance.numel()
        E, I = seen.excitation.mean(0), seen.inhibition.mean(0)
        [mean] = events.Scalars(f"mean_balance/{seen.name}")
        assert mean.step == 2  # the network has learnt on since, by one epoch
        assert -1 <= mean.value <= 1
        assert ((E - I) / (E + I)).abs().max() <= 1
        assert events.Histograms(f"balance/{seen.name}")[-1].histogram_value.num == seen.layer.out_features


def test_looking_changes_nothing(out, tmp_path):
    run(tiny(), out)
    run(tiny(), tmp_path / "watched", callbacks=[TensorBoard()])
    assert weights(out) == weights(tmp_path / "watched")
    assert (tmp_path / "watched/tensorboard").is_dir()


def test_what_goes_on_has_each_epoch_once(interrupted):
    folder = interrupted(tiny(epochs=3), epoch=2, callbacks=[TensorBoard()])
    run(tiny(epochs=3), folder, resume=True, callbacks=[TensorBoard()])
    steps = [event.step for event in events_in(folder / "tensorboard").Scalars("loss/train")]
    assert steps == [1, 2, 3]


def test_networks_without_layers_of_conductances_have_curves_alone(tmp_path):
    trainer = Trainer(nn.Linear(6, 3), (INPUTS, CLASSES), TrainingConfig(epochs=1), callbacks=[TensorBoard(tmp_path)])
    trainer.fit()
    tags = events_in(tmp_path).Tags()
    assert tags["histograms"] == []
    assert "loss/train" in tags["scalars"]


def test_mistakes_are_told_in_a_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="every=0: must be 1 or more"):
        TensorBoard(tmp_path, every=0)
    with pytest.raises(InputError, match="TensorBoard needs a folder"):
        trainer_of(callbacks=[TensorBoard()]).fit()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConductanceError, match=r"tensorboard is needed .*conductance\[tensorboard\]"):
        trainer_of(callbacks=[TensorBoard(tmp_path)]).fit()
