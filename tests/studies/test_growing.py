"""A growing result: a row is appended for each run when it ends, and what has a row is not run again."""

import csv
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import InputError
from studies.shared.growing import measure_missing, read_rows


@dataclass(frozen=True)
class Case:
    name: str
    step: float
    seed: int


CASES = [Case("muon, block 32", 0.1, seed) for seed in range(3)]


def measure(result, cases, run):
    measure_missing(result, cases, run, command="make study NAME=test")


def test_rows_are_appended_one_by_one_and_no_case_is_run_twice(tmp_path):
    result = tmp_path / "result.csv"
    made = []

    def run(case):
        made.append(case)
        assert len(read_rows(result)) == len(made) - 1
        return {"accuracy": 90.5}

    assert read_rows(result) == []
    measure(result, CASES[:2], run)
    before = result.read_text()
    measure(result, CASES, run)
    assert result.read_text().startswith(before)
    assert made == CASES
    assert [row["seed"] for row in read_rows(result)] == ["0", "1", "2"]
    assert list(read_rows(result)[0]) == ["name", "step", "seed", "accuracy", "seconds", "commit", "command"]
    assert {row["command"] for row in read_rows(result)} == {"make study NAME=test"}


def test_what_was_measured_before_an_error_is_kept(tmp_path):
    result = tmp_path / "result.csv"

    def run(case):
        if case.seed == 1:
            raise RuntimeError("stopped")
        return {"accuracy": 90.5}

    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stopped"):
        measure(result, CASES, run)
    assert torch.get_num_threads() == threads
    assert [row["seed"] for row in read_rows(result)] == ["0"]


def test_a_result_with_other_columns_is_left_as_it_is(tmp_path):
    result = tmp_path / "result.csv"
    measure(result, CASES[:1], lambda _: {"accuracy": 90.5})
    before = result.read_text()
    with pytest.raises(InputError, match="differ in loss; move the file away"):
        measure(result, CASES, lambda _: {"accuracy": 90.5, "loss": 1.0})
    assert result.read_text() == before


def test_columns_may_stand_in_another_order(tmp_path):
    result = tmp_path / "result.csv"
    result.write_text("seed,accuracy,name,seconds,commit,command,step\n")
    measure(result, CASES, lambda case: {"accuracy": 90.0 + case.seed})
    assert [row["accuracy"] for row in read_rows(result)] == ["90.0", "91.0", "92.0"]


@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"])), step=st.floats(1e-9, 1e9), seed=st.integers(0))
def test_any_case_is_found_again(tmp_path_factory, name, step, seed):
    result = tmp_path_factory.mktemp("growing") / "result.csv"
    case = Case(name, step, seed)
    measure(result, [case], lambda _: {"accuracy": 1.0})
    measure(result, [case], lambda _: pytest.fail("was run again"))
    with result.open(newline="") as file:
        assert len(list(csv.reader(file))) == 2
