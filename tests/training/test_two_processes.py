"""One run on two processes, as torchrun and `accelerate launch` start them."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from tiny_runs import lines

# Each process trains the same two configs, one after the other, and keeps what it ended with.
PROGRAM = """
import sys
from pathlib import Path
import torch
from tiny_runs import tiny
from conductance.training import loop, train

out, finish = Path(sys.argv[1]), loop._Run.finish

def keep(run, command):
    rank = run.accelerator.process_index
    network = run.accelerator.unwrap_model(run.network)
    share = {"rank": run.loader.rank, "of": run.loader.world_size}
    torch.save({**share, **dict(network.named_parameters())}, out / f"{run.config.model.family}-{rank}.pt")
    return finish(run, command)

loop._Run.finish = keep
for family in ("cwa", "affine_bn"):
    choices = {"data__batch_size": 50, "data__augmentation": "shift", "optimizer__centered": True}
    train(tiny(family, accumulate=2, **choices), out / family)
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
