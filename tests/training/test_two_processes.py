"""One run on two processes, as torchrun and `accelerate launch` start them."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from shared_trainings import BATCH, CLASSES, INPUTS, STOP, trainer_of
from tiny_runs import lines

# Each process trains the same two configs, one after the other, and keeps what it ended with.
PROGRAM = """
import sys
from pathlib import Path
import torch
from tiny_runs import tiny
from shared_trainings import NAMES, trainer_of
from conductance.training import train
from conductance.training.record import RunRecord

out, finish = Path(sys.argv[1]), RunRecord.finish

def keep(record, trainer):
    rank, order = trainer.process_index, trainer.data.train.order
    share = {"rank": order.rank, "of": order.world_size}
    torch.save({**share, **dict(trainer.network.named_parameters())}, out / f"{record.config.model.family}-{rank}.pt")
    return finish(record, trainer)

RunRecord.finish = keep
for family in ("cwa", "affine_bn"):
    choices = {"data__batch_size": 50, "data__augmentation": "shift", "optimizer__centered": True}
    train(tiny(family, accumulate=2, **choices), out / family)

for name in NAMES:
    trainer = trainer_of(name, processes=2)
    trainer.fit()
    last = {"history": trainer.history, "network": dict(trainer.network.state_dict()), "step": trainer.step}
    torch.save(last, out / f"{name}-{trainer.process_index}.pt")
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that both processes wrote to."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(out)],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    try:
        for process in processes:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return out


@pytest.mark.parametrize("family", ["cwa", "affine_bn"])
def test_each_takes_its_share_and_both_end_with_the_same_weights(family, out):
    first, second = (torch.load(out / f"{family}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert [(ended.pop("rank"), ended.pop("of")) for ended in (first, second)] == [(0, 2), (1, 2)]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("family", ["cwa", "affine_bn"])
def test_they_leave_one_finished_run(family, out):
    assert json.loads((out / family / "summary.json").read_text())["epochs"] == 2
    assert [line["epoch"] for line in lines(out / family)] == [1, 2]
    assert not (out / family / "checkpoint.pt").exists()


def ends(out, name):
    return [torch.load(out / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]


def without_seconds(history):
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in history]


def test_steps_and_metrics_are_those_of_one_process_with_all_examples(out):
    """The last step of an epoch has one batch on each process, the others two."""
    alone = trainer_of("arrays")
    alone.fit()
    for end in ends(out, "arrays"):
        torch.testing.assert_close(end["network"], dict(alone.network.state_dict()))
        assert end["step"] == alone.step == 2 * -(-len(INPUTS) // (2 * 2 * BATCH))
        for epoch, expected in zip(without_seconds(end["history"]), without_seconds(alone.history), strict=True):
            assert epoch == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_shared_loader_is_a_mean_over_the_examples_of_both(out):
    first, second = ends(out, "loader")
    seen = torch.cat([torch.arange(21), torch.arange(3)])  # accelerate hands out one batch twice, to keep step
    outputs = torch.nn.functional.linear(INPUTS[seen], first["network"]["weight"], first["network"]["bias"])
    expected = float(torch.nn.functional.cross_entropy(outputs, CLASSES[seen]))
    assert first["history"][0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert without_seconds(first["history"]) == without_seconds(second["history"])


def test_both_stop_when_one_is_told_to(out):
    for end in ends(out, "stopped"):
        assert (end["step"], len(end["history"])) == (STOP, 1)
