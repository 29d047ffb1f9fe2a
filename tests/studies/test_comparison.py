"""A study trains what its table has not got, and its table grows a row with every run."""

import csv
from dataclasses import replace

import pytest

from conductance.presets.named import get_preset
from conductance.training import NonFiniteLossError, train
from studies.shared import study

CASES = [("fcn", "cwa", "none"), ("fcn", "affine", "adam, step 0.3")]


def tiny(case, seed):
    config = get_preset(f"digits-fcn-{case[1]}")
    data, model = replace(config.data, validation_images=100), replace(config.model, widths=(8,))
    return replace(config, name=f"{config.name} {case[2]}", seed=seed, epochs=1, data=data, model=model)


@pytest.fixture
def digits(tmp_path):
    return study.Study(CASES, tiny, tmp_path / "runs", tmp_path / "table.csv", "make digits")


def measured(digits):
    return [(row["family"], row["change"], row["seed"]) for row in digits.rows()]


def test_rows_come_case_by_case_and_seed_by_seed_however_they_were_measured(digits):
    study.command_line(digits, None, ["--seeds", "0"])
    assert not digits.table.exists()
    study.command_line(digits, None, ["--seeds", "1", "--only", "adam, step 0.3"])
    assert measured(digits) == [("affine", "adam, step 0.3", "0")]
    study.command_line(digits, None, ["--seeds", "2"])
    assert measured(digits) == [(family, change, seed) for _, family, change in CASES for seed in ("0", "1")]
    with digits.table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == list(study.COLUMNS)
    assert all(0 < float(row["validation"]) <= 100 for row in rows)


def test_networks_may_be_measured_one_by_one(digits):
    both = replace(digits, cases=[*CASES, ("cnn", "cwa", "none")])
    study.command_line(both, None, ["--seeds", "1", "--networks", "fcn", "--only", "none"])
    assert measured(both) == [("cwa", "none", "0")]


@pytest.mark.parametrize("choice", [("--only", "adam, step 3"), ("--networks", "resnet")])
def test_what_no_case_has_is_refused_before_anything_is_trained(digits, choice, capsys):
    with pytest.raises(SystemExit):
        study.command_line(digits, None, ["--seeds", "1", *choice])
    assert choice[1] in capsys.readouterr().err
    assert not digits.table.exists()


def test_what_the_table_has_is_not_trained_again_even_where_its_folder_is_gone(digits):
    study.command_line(digits, None, ["--seeds", "1", "--only", "none"])
    before = digits.table.read_text()
    digits.folder(tiny(CASES[0], 0)).rename(digits.runs / "elsewhere")
    study.command_line(digits, None, ["--seeds", "1", "--only", "none"])
    assert digits.table.read_text() == before
    assert not digits.folder(tiny(CASES[0], 0)).exists()


def test_rows_of_cases_that_are_no_more_stay_at_the_end(digits):
    study.command_line(digits, None, ["--seeds", "1"])
    fewer = replace(digits, cases=CASES[1:])
    study.command_line(fewer, None, ["--seeds", "2"])
    assert measured(fewer) == [("affine", CASES[1][2], "0"), ("affine", CASES[1][2], "1"), ("cwa", "none", "0")]


def test_means_are_over_the_seeds_of_one_case():
    measured = [("none", 98.0), ("none", 99.0), ("adam, step 0.3", 50.0)]
    rows = [
        {"architecture": "fcn", "family": "cwa", "change": change, "seed": seed, "validation": f"{accuracy}"}
        for seed, (change, accuracy) in enumerate(measured)
    ]
    assert study.markdown_means(rows).splitlines()[2:] == [
        "| fcn | cwa | none | 98.50 ± 0.71 | 2 |",
        "| fcn | cwa | adam, step 0.3 | 50.00 ± \N{EN DASH} | 1 |",
    ]


def test_a_run_that_diverges_is_named_and_the_others_are_measured(digits, monkeypatch):
    def diverging(config, *arguments, **options):
        if config.name.endswith("none"):
            raise NonFiniteLossError("the loss is nan")
        return train(config, *arguments, **options)

    monkeypatch.setattr(study, "train", diverging)
    said = study.command_line(digits, None, ["--seeds", "1"])
    assert said == "no row of: fcn, cwa, none, seed 0: the loss is nan"
    assert measured(digits) == [("affine", "adam, step 0.3", "0")]
