"""Trainings of networks that two processes hold in parts (FSDP2). Both processes run this file as a script."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import several_processes
from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.runs import OptimizerConfig, RunFolder
from conductance.training import Trainer, TrainingConfig
from conductance.training.sharding import is_divided

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(21, 1, 4, 4, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(0, 3, (21,), generator=GENERATOR)
RULES = ("muon", "adam", "sgd", "eg")
OPTIONS = {"learn_resting": True, "nonnegative": "clamped"}


class InterruptionError(Exception):
    """Ends a training in its second epoch."""


def interrupt(trainer):
    if trainer.epoch == 2:
        raise InterruptionError


def network():
    torch.manual_seed(0)
    hidden = CWAConv2d(1, 5, 3, **OPTIONS)  # five units do not divide by two processes
    return nn.Sequential(hidden, nn.Flatten(), CWALinear(20, 6, **OPTIONS), nn.Linear(6, 3)).double()


def trainer_of(out, name="muon", processes=1, **options):
    """A training of two steps in each epoch, whose last batch is one example; begun by a number of processes."""
    rule = name if name in RULES else "muon"
    choices = OptimizerConfig(rule, centered=True, homeostasis=0.1, weight_average=0.5 if "own" not in name else 0.0)
    config = TrainingConfig(epochs=3, batch_size=10 // processes, accumulate=2, optimizer=choices, name="sharded")
    return Trainer(
        options.pop("network", None) or network(),
        (IMAGES, CLASSES),
        config,
        test=(IMAGES[:3], CLASSES[:3]),
        folder=out / name,
        device="cpu",
        progress=False,
        **options,
    )


def in_each_process(out):
    def fit(name, processes=2, **options):
        trainer = trainer_of(out, name, processes, sharded=True, **options)
        assert trainer.sharded
        assert is_divided(trainer.network)
        trainer.fit(resume=True)
        return trainer

    for rule in RULES:
        local = sum(parameter.to_local().numel() for parameter in fit(rule).network.parameters())
        assert local < 0.7 * sum(parameter.numel() for parameter in network().parameters())
    for name in ("resumed", "resumed-by-one"):
        with pytest.raises(InterruptionError):
            fit(name, callbacks=[interrupt])
    fit("resumed")
    fit("resumed-by-two", processes=1)
    finished = fit("resumed")  # loads what it left
    assert len(finished.history) == 3
    own = network()
    mesh = init_device_mesh("cpu", (2,))
    for layer in (own[0], own[2], own):
        fully_shard(layer, mesh=mesh)
    fit("own", network=own)
    half = Trainer(
        network().float(),
        (IMAGES.float(), CLASSES),
        TrainingConfig(epochs=1, batch_size=5, precision="bf16"),
        sharded=True,
        device="cpu",
        progress=False,
    )
    assert half.fit()[0]["train_loss"] < 2
    whole = network()
    with pytest.raises(InputError, match="give a function that makes one of the network"):
        Trainer(whole, (IMAGES, CLASSES), optimizer=torch.optim.Adam(whole.parameters()), sharded=True, device="cpu")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of all trainings. One start of both processes serves all tests: some 10 seconds."""
    out = tmp_path_factory.mktemp("sharded")
    with pytest.raises(InterruptionError):
        trainer_of(out, "resumed-by-two", callbacks=[interrupt]).fit()
    several_processes.run([__file__, out], 2)
    trainer_of(out, "resumed-by-one", processes=2).fit(resume=True)
    return out


def check_same(out, name, expected):
    weights = RunFolder(out / name).read_weights()
    for part, tensor in expected.result.state_dict().items():
        torch.testing.assert_close(weights[f"network.{part}"], tensor)


@pytest.mark.parametrize("rule", RULES)
def test_networks_in_parts_learn_as_whole_ones(rule, out, tmp_path):
    alone = trainer_of(tmp_path, rule)
    alone.fit()
    check_same(out, rule, alone)


@pytest.mark.parametrize("name", ["resumed", "resumed-by-one", "resumed-by-two", "own"])
def test_they_resume_in_parts_or_whole(name, out, tmp_path):
    alone = trainer_of(tmp_path, name)
    alone.fit()
    check_same(out, name, alone)


if __name__ == "__main__":
    in_each_process(Path(sys.argv[1]))
