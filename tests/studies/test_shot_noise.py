"""The shot-noise experiment measures what it says, and what is checked in is what it measured."""

import csv
import re

import pytest
import torch
from rich.console import Console

from figures import words
from shot_noise_reference import expected_potential
from studies.shot_noise import measure as shot_noise
from studies.shot_noise.figure import shot_noise_figure
from studies.shot_noise.measure import CASES, Case, measure_shot_noise, simulate_shifts

FEW_CASES = [Case("excitation", 100, 10.0), Case("inhibition", 30, 3.0), Case("both", 10, 10.0)]


def exact_shift(case):
    rate = case.synapses * case.rate / 1000
    quanta = case.quantum.tolist()
    taus, potentials = shot_noise.TIME_CONSTANTS.tolist(), shot_noise.REVERSAL_POTENTIALS.tolist()
    return expected_potential([rate, rate], quanta, taus, potentials, 10.0, -65.0, 200.0) - case.eq1


def test_simulated_shifts_are_those_of_the_exact_expectation():
    shifts, deviations = simulate_shifts(FEW_CASES, 0, range(shot_noise.SETTLING + 30))
    assert shifts.shape == deviations.shape == (shot_noise.MEMBRANES, len(FEW_CASES))
    for case, shift in zip(FEW_CASES, shifts.T, strict=True):
        error = shift.std().item() / shot_noise.MEMBRANES**0.5
        assert shift.mean().item() == pytest.approx(exact_shift(case), abs=4 * error)
        assert error < 0.2 * abs(exact_shift(case))


def test_eq_1_is_the_same_for_any_number_and_rate_of_synapses():
    for name in shot_noise.MEAN_CONDUCTANCES:
        values = [case.eq1 for case in CASES if case.input == name]
        assert values == pytest.approx([values[0]] * len(values), abs=1e-9)
        assert len(values) == len(shot_noise.SYNAPSES) * len(shot_noise.RATES)


def test_writes_one_row_for_each_case_and_says_where_it_came_from(tmp_path, monkeypatch):
    monkeypatch.setattr(shot_noise, "MEMBRANES", 3)
    monkeypatch.setattr(shot_noise, "SETTLING", 1)
    measure_shot_noise(tmp_path / "table.csv", FEW_CASES, seed=5, seconds=0.05, console=Console(quiet=True))
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [(row["input"], int(row["synapses"]), float(row["rate"])) for row in rows] == [
        (case.input, case.synapses, case.rate) for case in FEW_CASES
    ]
    assert {(row["seconds"], row["seed"], row["command"]) for row in rows} == {
        ("0.15", "5", "make study NAME=shot_noise")
    }
    assert len({row["shift"] for row in rows}) == 3


def test_the_same_seed_simulates_the_same(monkeypatch):
    monkeypatch.setattr(shot_noise, "MEMBRANES", 2)
    first, again, other = (simulate_shifts(FEW_CASES, seed, range(shot_noise.SETTLING + 1))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_checked_in_is_of_these_cases_and_agrees_with_theory():
    rows = list(csv.DictReader(shot_noise.FOLDER.result.read_text().splitlines()))
    assert len(rows) == len(CASES)
    for row, case in zip(rows, CASES, strict=True):
        assert (row["input"], int(row["synapses"]), float(row["rate"])) == (case.input, case.synapses, case.rate)
        assert float(row["second_order"]) == pytest.approx(case.second_order, rel=1e-3)
        assert float(row["eq1"]) == pytest.approx(case.eq1, rel=1e-3)
        assert re.fullmatch(r"[0-9a-f]{12}", row["commit"])
        error = float(row["standard_error"])
        assert float(row["shift"]) == pytest.approx(exact_shift(case), abs=4.5 * error, rel=0.01)


def test_the_figure_is_a_light_page_of_svg_with_words_for_all_it_shows():
    text = shot_noise_figure(shot_noise.FOLDER.result)
    assert {"theory, second order", "10 spikes/s per synapse", "excitation: mean below eq. 1"} <= words(text)
    assert len(text) < 200_000


def test_the_checked_in_figure_is_of_the_result_and_as_light():
    checked_in = shot_noise.FOLDER.figure.read_text()
    assert words(checked_in) == words(shot_noise_figure(shot_noise.FOLDER.result))
    assert len(checked_in) < 200_000
