"""The table of what lacks computing: what is done leaves it."""

import json
import shlex
from dataclasses import replace

import numpy as np

from conductance.cli.arguments import parse
from conductance.cli.reproduce import ReproduceArguments
from conductance.cli.train import TrainArguments
from conductance.presets import get_preset
from conductance.reproduction.paper import select_cells
from conductance.reproduction.recipes import get_recipe
from conductance.runs import load_runs
from conductance.runs.predictions import Predictions
from studies.ablation.measure import ABLATION
from studies.shared.catalog import list_studies
from tests.synthetic_runs import write_run
from tools.missing import SEEDS, WANTED, missing


def answered(run):
    Predictions(np.zeros(4, int), np.zeros(4, int)).write(run / "predictions.npz")


def trained(place, preset, seed, name=None):
    """A finished run of a preset, with answers, whatever it is called."""
    run = write_run(place, dataset="cifar10", seed=seed, epochs=get_preset(preset).epochs)
    config = replace(get_preset(preset), name=name or preset, seed=seed)
    (run / "config.json").write_text(json.dumps(config.to_dict()))
    answered(run)
    return run


def lines(table):
    return {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in table.splitlines()[2:]}


def test_a_finished_run_is_missing_no_longer(tmp_path):
    preset, pooled, retrained = "cifar10-cnn-cwa-pooled", tmp_path / "pooled", tmp_path / "retrained"
    trained(pooled / "0", preset, 0)
    trained(pooled / "2", preset, 2, name="by-another-name")
    found = lines(missing(load_runs([tmp_path])))
    assert found[f"{preset}, 30 epochs"][:2] == ["1", "39.0 s"]
    assert found["cifar10-cnn-cwa, 30 epochs"][0] == "0, 1, 2"
    last = trained(retrained / "1", preset, 1)
    (last / "predictions.npz").unlink()
    assert f"{preset}, 30 epochs" in lines(missing(load_runs([tmp_path])))  # it can be compared with nothing
    answered(last)
    assert f"{preset}, 30 epochs" not in lines(missing(load_runs([tmp_path])))


def test_each_command_trains_what_it_says():
    assert len({wanted.name for wanted in WANTED}) == len(WANTED)
    for wanted in WANTED:
        program, command, preset, *options = shlex.split(wanted.command.replace("seedK", "seed1").replace(" K ", " 1 "))
        assert (program, command) == ("conductance", "train")
        arguments = parse(TrainArguments, "train", options, TrainArguments(run=get_preset(preset)))
        assert (arguments.run.name, arguments.run.seed, arguments.run.epochs) == (wanted.name, 1, wanted.whole)
        assert str(arguments.out).endswith(f"{wanted.name}-seed1")
    assert SEEDS == 3


def test_every_other_command_makes_what_it_stands_beside(monkeypatch):
    monkeypatch.setattr("tools.missing.read_rows", lambda _: [])
    monkeypatch.setattr(type(ABLATION), "rows", lambda _: [])
    others = {name: cells[-1].removesuffix(" |") for name, cells in lines(missing([])).items()}
    others = {name: shlex.split(command) for name, command in others.items() if " train " not in command}
    assert {"studies/ideas", "mnist-cnn-cwa-paper, 50 epochs"} <= set(others)
    for name, (program, *words) in others.items():
        if program == "make":
            assert words[0] == "study"
            assert words[1].removeprefix("NAME=") == name.removeprefix("studies/") in list_studies()
        elif program == "python":
            assert words[:3] == ["-m", "studies", "ablation"]
            assert words[-1] in {change for _, _, change in ABLATION.cases}
        else:
            assert (program, words[0]) == ("conductance", "reproduce")
            asked = parse(ReproduceArguments, "reproduce", words[1:])
            (cell,) = select_cells(asked.table, asked.cells.split(","))
            assert name.startswith(get_recipe(asked.recipe).config(cell).name)
            assert (asked.seeds, f"{asked.epochs} epochs") == (1, name.partition(", ")[2])
