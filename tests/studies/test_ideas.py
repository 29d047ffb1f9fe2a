"""The study of further ideas: its cases, and what its table decides."""

from dataclasses import replace

import numpy as np
import pytest

from conductance.report.table import NOTHING
from studies.ideas.measure import CHANGES, cases, config_of
from studies.ideas.table import table
from studies.shared.answers import packed
from studies.shared.short import HELD_OUT


def test_each_idea_changes_the_pooled_preset():
    configs = {case.change: config_of(case) for case in cases() if case.seed == 0}
    assert set(configs) == set(CHANGES)
    assert len({str(config) for config in configs.values()}) == len(configs)
    assert all(config.conductance.pooled_interneuron for config in configs.values())


@pytest.mark.parametrize(
    ("accuracy", "seeds", "verdict"),
    [(0.7, 3, "better"), (0.5, 3, "worse"), (0.6, 3, "undecided"), (0.7, 1, "undecided")],
)
def test_an_idea_is_judged_on_the_same_images(accuracy, seeds, verdict):
    rows = [
        {
            "change": change,
            "seed": str(seed),
            "validation": "60",
            "training": "61",
            "mirrored": "62",
            "correct": packed(np.random.default_rng([seed, len(change)]).random(HELD_OUT) < right),
        }
        for change, right in (("none", 0.6), ("no twins", accuracy))
        for seed in range(seeds)
    ]
    unchanged, changed = table(rows).splitlines()[2:]
    assert unchanged.split(" | ")[1:5] == ["60.00", "62.00", "61.00", NOTHING]
    assert changed.split(" | ")[-2] == verdict
    assert replace(cases()[0], seed=1) in cases()
