"""The demonstration compares what it says it compares, and does nothing twice."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from conductance.cli import demo
from conductance.runs import RunFolder

FAMILIES = ("cwa", "affine", "affine_bn")


def test_three_families_two_architectures_three_seeds_on_the_digits():
    runs = demo.demo_runs()
    kinds = {(run.model.architecture, run.model.family, run.seed, run.data.dataset) for run in runs}
    assert kinds == {
        (network, family, seed, "digits") for network in ("fcn", "cnn") for family in FAMILIES for seed in (0, 1, 2)
    }
    assert len(runs) == len(kinds) == 18


@pytest.fixture
def short(monkeypatch):
    """Two of the demo's runs, of one epoch."""
    runs = [
        replace(run, epochs=1, model=replace(run.model, widths=(4, 4)), data=replace(run.data, batch_size=200))
        for run in demo.demo_runs()[2:4]
    ]
    monkeypatch.setattr(demo, "demo_runs", lambda: runs)
    return runs


def test_each_run_has_its_folder_and_a_second_demo_trains_nothing(short, tmp_path, monkeypatch):
    summaries = demo.train_all(demo.demo_runs(), tmp_path, device="cpu", console=Console(quiet=True))
    folders = [tmp_path / "runs" / f"{run.name}-seed{run.seed}" for run in short]
    assert sorted((tmp_path / "runs").iterdir()) == sorted(folders)
    assert json.loads(json.dumps(summaries)) == [
        json.loads((folder / "summary.json").read_text()) for folder in folders
    ]
    monkeypatch.setattr(RunFolder, "claim", lambda *_: pytest.fail("trained again"))
    again = demo.train_all(demo.demo_runs(), tmp_path, device="cpu")
    assert json.dumps(again) == json.dumps(summaries)


@pytest.mark.usefixtures("short")
def test_an_interrupted_demo_goes_on(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_weights", interrupt)
        with pytest.raises(KeyboardInterrupt):
            demo.train_all(demo.demo_runs(), tmp_path, device="cpu")
    assert [summary["epochs"] for summary in demo.train_all(demo.demo_runs(), tmp_path, device="cpu")] == [1, 1]
