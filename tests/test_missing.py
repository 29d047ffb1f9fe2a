"""The table of what lacks computing: what is done leaves it."""

import shlex

import numpy as np

from conductance.cli.arguments import parse
from conductance.cli.train import TrainArguments
from conductance.presets import get_preset
from conductance.runs import load_runs
from conductance.runs.predictions import Predictions
from tests.synthetic_runs import write_run
from tools.missing import SEEDS, WANTED, missing


def answered(run):
    Predictions(np.zeros(4, int), np.zeros(4, int)).write(run / "predictions.npz")


def lines(table):
    return {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in table.splitlines()[2:]}


def test_a_finished_run_is_missing_no_longer(tmp_path):
    name = "cifar10-cnn-cwa-pooled"
    for seed in (0, 2):
        run = {"dataset": "cifar10", "name": name, "seed": seed, "epochs": 3}
        answered(write_run(tmp_path / "pooled" / f"{name}-seed{seed}", **run))
    found = lines(missing(load_runs([tmp_path])))
    assert found[f"{name}, 30 epochs"][:2] == ["1", "39.0 s"]
    assert found["cifar10-cnn-cwa, 30 epochs"][0] == "0, 1, 2"
    last = write_run(tmp_path / "retrained" / f"{name}-seed1", **{**run, "seed": 1})
    assert f"{name}, 30 epochs" in lines(missing(load_runs([tmp_path])))  # it can be compared with nothing
    answered(last)
    assert f"{name}, 30 epochs" not in lines(missing(load_runs([tmp_path])))


def test_each_command_trains_what_it_says():
    assert len({wanted.name for wanted in WANTED}) == len(WANTED)
    for wanted in WANTED:
        program, command, preset, *options = shlex.split(wanted.command.replace("seedK", "seed1").replace(" K ", " 1 "))
        assert (program, command) == ("conductance", "train")
        arguments = parse(TrainArguments, "train", options, TrainArguments(run=get_preset(preset)))
        assert (arguments.run.name, arguments.run.seed, arguments.run.epochs) == (wanted.name, 1, wanted.whole)
        assert str(arguments.out).endswith(f"{wanted.name}-seed1")
    assert SEEDS == 3
