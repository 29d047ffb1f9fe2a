"""The study of the paper's remarks: its cases, its answers, and what they decide."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conductance.models import create_model
from conductance.reproduction.claims import NOT_MEASURED
from studies.paper_claims.measure import CHANGES, at_zero, cases, config_of
from studies.paper_claims.table import CHANCE, CLAIMS, claims_of
from studies.shared.packing import packed
from studies.shared.short import HELD_OUT


def test_cases_are_the_preset_but_for_their_change():
    configs = {case: config_of(case) for case in cases()}
    assert len({str(config) for config in configs.values()}) == len(configs)
    named = {each for _, *sides in CLAIMS for each in sides}
    assert named - {CHANCE} <= set(CHANGES)
    fixed = [config for case, config in configs.items() if case.change.startswith("leak fixed") and case.seed == 0]
    assert replace(fixed[0], conductance=fixed[1].conductance) == fixed[1]


def test_a_start_at_zero_has_every_conductance_at_one():
    network = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(4, 6), layer_options={"nonnegative": "rectified"})
    at_zero(network)
    assert all(bool((parameter == 0).all()) for name, parameter in network.named_parameters() if name.endswith(".g"))
    torch.testing.assert_close(network.hidden[0].conductance, torch.ones_like(network.hidden[0].g))


def answers(accuracy, seed):
    return np.random.default_rng(seed).random(HELD_OUT) < accuracy


@pytest.mark.parametrize(("accuracies", "verdict"), [((0.6, 0.7), "contradicted"), ((0.7, 0.6), "supported"),
                                                     ((0.6, 0.6), "undecided")])  # fmt: skip
def test_claims_are_decided_by_the_answers(accuracies, verdict):
    rows = [
        {"change": change, "seed": str(seed), "correct": packed(answers(accuracy, seed))}
        for change, accuracy in zip(("pixels clipped at 0", "none"), accuracies, strict=True)
        for seed in range(2)
    ]
    first, *others = claims_of(rows)
    assert first.verdict == verdict
    assert {each.obstacle for each in others} == {NOT_MEASURED}
    assert claims_of(rows[::2])[0].verdict == "undecided"  # one seed


def test_learning_is_better_than_chance():
    rows = [{"change": "all g at 0", "seed": str(seed), "correct": packed(answers(0.3, seed))} for seed in range(2)]
    assert claims_of(rows)[-1].verdict == "supported"
    rows = [{**row, "correct": packed(answers(0.1, int(row["seed"]) + 5))} for row in rows]
    assert claims_of(rows)[-1].verdict == "undecided"
