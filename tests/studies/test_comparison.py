"""A study trains what its table has not got, and its table grows a row with every run."""

import csv
from contextlib import contextmanager
from dataclasses import replace

import pytest

from conductance.presets.named import get_preset
from conductance.training import NonFiniteLossError, train
from studies.shared import comparison
from studies.shared.folder import StudyFolder

CASES = [("fcn", "cwa", "none"), ("fcn", "affine", "adam, step 0.3")]


def tiny(case, seed):
    config = get_preset(f"digits-fcn-{case[1]}")
    data, model = replace(config.data, validation_images=100), replace(config.model, widths=(8,))
    return replace(config, name=f"{config.name} {case[2]}", seed=seed, epochs=1, data=data, model=model)


@pytest.fixture
def digits(tmp_path):
    return comparison.Comparison(CASES, tiny, StudyFolder(tmp_path))


def measured(digits):
    return [(row["family"], row["change"], row["seed"]) for row in digits.rows()]


def test_rows_come_case_by_case_and_seed_by_seed_however_they_were_measured(digits):
    comparison.command_line(digits, None, ["--seeds", "0"])
    assert not digits.folder.result.exists()
    comparison.command_line(digits, None, ["--seeds", "1", "--only", "adam, step 0.3"])
    assert measured(digits) == [("affine", "adam, step 0.3", "0")]
    comparison.command_line(digits, None, ["--seeds", "2"])
    assert measured(digits) == [(family, change, seed) for _, family, change in CASES for seed in ("0", "1")]
    with digits.folder.result.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == list(comparison.COLUMNS)
    assert all(0 < float(row["validation"]) <= 100 for row in rows)


def test_networks_may_be_measured_one_by_one(digits):
    both = replace(digits, cases=[*CASES, ("cnn", "cwa", "none")])
    comparison.command_line(both, None, ["--seeds", "1", "--networks", "fcn", "--only", "none"])
    assert measured(both) == [("cwa", "none", "0")]


@pytest.mark.parametrize("choice", [("--only", "adam, step 3"), ("--networks", "resnet")])
def test_what_no_case_has_is_refused_before_anything_is_trained(digits, choice, capsys):
    with pytest.raises(SystemExit):
        comparison.command_line(digits, None, ["--seeds", "1", *choice])
    assert choice[1] in capsys.readouterr().err
    assert not digits.folder.result.exists()


def test_what_the_table_has_is_not_trained_again_even_where_its_folder_is_gone(digits):
    comparison.command_line(digits, None, ["--seeds", "1", "--only", "none"])
    before = digits.folder.result.read_text()
    digits.run_folder(tiny(CASES[0], 0)).rename(digits.folder.runs / "elsewhere")
    comparison.command_line(digits, None, ["--seeds", "1", "--only", "none"])
    assert digits.folder.result.read_text() == before
    assert not digits.run_folder(tiny(CASES[0], 0)).exists()


def test_rows_of_cases_that_are_no_more_stay_at_the_end(digits):
    comparison.command_line(digits, None, ["--seeds", "1"])
    fewer = replace(digits, cases=CASES[1:])
    comparison.command_line(fewer, None, ["--seeds", "2"])
    assert measured(fewer) == [("affine", CASES[1][2], "0"), ("affine", CASES[1][2], "1"), ("cwa", "none", "0")]


def test_means_are_over_the_seeds_of_one_case_and_differences_to_the_unchanged_one(digits):
    measured = [("fcn", "none", 98.0), ("fcn", "none", 99.0), ("fcn", "adam", 50.0), ("cnn", "adam", 60.0)]
    rows = [f"{network},cwa,{change},{seed},{accuracy}" for seed, (network, change, accuracy) in enumerate(measured)]
    digits.folder.result.write_text("\n".join(["architecture,family,change,seed,validation", *rows]))
    assert replace(digits, words={"adam": "Adam, not Muon"}).markdown().splitlines()[2:] == [
        "| fcn | cwa | none | 98.50 ± 0.71 |  | 2 |",
        "| fcn | cwa | Adam, not Muon | 50.00 ± \N{EN DASH} | -48.50 | 1 |",
        "| cnn | cwa | Adam, not Muon | 60.00 ± \N{EN DASH} |  | 1 |",
    ]


def test_a_run_that_diverges_is_named_and_the_others_are_measured(digits, monkeypatch):
    def diverging(config, *arguments, **options):
        if config.name.endswith("none"):
            raise NonFiniteLossError("the loss is nan")
        return train(config, *arguments, **options)

    monkeypatch.setattr(comparison, "train", diverging)
    said = comparison.command_line(digits, None, ["--seeds", "1"])
    assert said == "no row of: fcn, cwa, none, seed 0: the loss is nan"
    assert measured(digits) == [("affine", "adam, step 0.3", "0")]


def test_each_case_is_trained_within_its_own_context(digits):
    entered = []

    @contextmanager
    def within(case):
        entered.append(case)
        yield

    comparison.command_line(replace(digits, within=within), None, ["--seeds", "1"])
    assert entered == CASES
