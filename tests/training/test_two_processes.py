"""One run on two processes, as torchrun and `accelerate launch` start them."""

import json

import pytest
import torch

import several_processes
from conductance.runs import RunFolder
from shared_trainings import BATCH, CLASSES, INPUTS, LOADERS, RUNS, STOP, UNSEEDED, run_of, trainer_of
from tiny_runs import lines, run

# Each process trains the same, one after the other, and keeps what it ended with.
PROGRAM = """
import os, sys
from pathlib import Path
import torch
from shared_trainings import NAMES, RUNS, run_of, trainer_of
from conductance.errors import InputError
from conductance.training import train
from conductance.training.record import RunRecord

out, finish, rank = Path(sys.argv[1]), RunRecord.finish, int(os.environ["RANK"])

def keep(record, trainer):
    order = trainer.data.train.order
    share = {"rank": order.rank, "of": order.world_size}
    torch.save({**share, **dict(trainer.network.named_parameters())}, out / f"{trainer.folder.name}-{rank}.pt")
    return finish(record, trainer)

RunRecord.finish = keep
for name in RUNS:
    train(run_of(name, processes=2), out / name, device="cpu")

for name in NAMES:
    trainer = trainer_of(name, rank, processes=2)
    trainer.fit()
    last = {"history": trainer.history, "network": dict(trainer.result.state_dict()), "step": trainer.step}
    torch.save({**last, "random": trainer._random["cpu"]}, out / f"{name}-{rank}.pt")

trainer = trainer_of("arrays", rank, processes=2)
trainer.network.register_module("unused", torch.nn.Linear(2, 2))
trainer.network.forward = lambda p: trainer.network[1](trainer.network[0](p))
try:
    trainer.fit()
except InputError as error:
    (out / f"unused-{rank}").write_text(f"{error} {error.silent}")
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that both processes wrote to. One start serves all tests: some 10 seconds."""
    out = tmp_path_factory.mktemp("two")
    several_processes.run(["-c", PROGRAM, out], 2)
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of the same runs on one process, whose batches have as many images as those of both together."""
    out = tmp_path_factory.mktemp("one")
    for name in RUNS:
        run(run_of(name), out / name)
    return out


@pytest.mark.parametrize("name", RUNS)
def test_each_takes_its_share_and_both_end_with_the_same_weights(name, out):
    first, second = (torch.load(out / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert [(ended.pop("rank"), ended.pop("of")) for ended in (first, second)] == [(0, 2), (1, 2)]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", RUNS)
def test_they_leave_one_finished_run(name, out):
    summary = json.loads((out / name / "summary.json").read_text())
    assert (summary["epochs"], summary["processes"]) == (2, 2)
    assert [line["epoch"] for line in lines(out / name)] == [1, 2]
    assert not (out / name / "checkpoint.pt").exists()


def differences(out, alone, name):
    """The largest difference between the weights that both kinds of run have left, and that of their metrics."""
    here, there = (RunFolder(folder / name).read_weights() for folder in (out, alone))
    weights = max(float((here[part] - there[part]).abs().max()) for part in here)
    epochs = zip(lines(out / name), lines(alone / name), strict=True)
    return weights, max(abs(now[key] - then[key]) / max(1, abs(then[key])) for now, then in epochs for key in now)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "affine_bn"])
def test_conductances_learn_the_same_on_one_process_and_on_two(name, out, alone):
    assert max(differences(out, alone, name)) < 3e-5


def test_batchnorm_does_not_for_its_means_are_those_of_one_process(out, alone):
    assert min(differences(out, alone, "affine_bn")) > 1e-3


def test_predictions_are_of_every_test_image_in_order(out, alone):
    here, there = ((folder / "cwa-adam/predictions.npz").read_bytes() for folder in (out, alone))
    assert here == there


def ends(out, name):
    return [torch.load(out / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]


def without_seconds(history):
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in history]


@pytest.mark.parametrize("name", ["arrays", "dataset"])
def test_steps_and_metrics_are_those_of_one_process_with_all_examples(name, out):
    """The last batch has one example, so that one process has none; so has the one example of the validation."""
    alone = trainer_of(name)
    alone.fit()
    for end in ends(out, name):
        torch.testing.assert_close(end["network"], dict(alone.network.state_dict()))
        assert end["step"] == alone.step == 2 * -(-len(INPUTS) // (2 * 2 * BATCH))
        for epoch, expected in zip(without_seconds(end["history"]), without_seconds(alone.history), strict=True):
            assert epoch == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOADERS)
def test_the_loss_of_a_shared_loader_is_a_mean_over_its_examples(name, out):
    """None is seen twice and none is left out, though one process has a batch more than the other."""
    first, second = ends(out, name)
    network = trainer_of(name).network
    network.load_state_dict(first["network"])
    network.requires_grad_(False)
    expected = float(torch.nn.functional.cross_entropy(network(INPUTS[:21]), CLASSES[:21]))
    assert first["history"][0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert without_seconds(first["history"]) == without_seconds(second["history"])


@pytest.mark.parametrize("name", UNSEEDED)
def test_networks_that_start_differently_start_and_learn_as_that_of_the_first_process(name, out):
    first, second = ends(out, name)
    assert all(torch.equal(first["network"][part], second["network"][part]) for part in first["network"])
    assert bool((first["network"]["0.g"] >= 0).all())
    assert without_seconds(first["history"]) == without_seconds(second["history"])


def test_no_two_processes_draw_the_same_random_numbers(out):
    first, second = ends(out, "dropout")
    assert not torch.equal(first["random"], second["random"])


def test_both_stop_when_one_is_told_to(out):
    for end in ends(out, "stopped"):
        assert (end["step"], len(end["history"])) == (STOP, 1)


def test_a_loader_of_one_batch_is_tested_by_both(out):
    first, second = ends(out, "stopped")
    network = trainer_of("stopped").network.eval().requires_grad_(False)
    network.load_state_dict(first["network"])
    expected = float(torch.nn.functional.cross_entropy(network(INPUTS[:21]), CLASSES[:21]))
    assert first["history"][0]["test_loss"] == second["history"][0]["test_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_parameter_without_a_part_in_the_loss_is_named_as_such_by_one_of_them(out):
    told = [(out / f"unused-{rank}").read_text() for rank in (0, 1)]
    assert all("a parameter of the network has no part in the loss" in words for words in told)
    assert sorted(words.split()[-1] for words in told) == ["False", "True"]
