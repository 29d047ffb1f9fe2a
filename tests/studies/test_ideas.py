"""The study of further ideas: its cases, and what its table decides."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conductance.models import create_model
from conductance.report.table import NOTHING
from studies.ideas.measure import CHANGES, SHAMPOO, cases, config_of
from studies.ideas.shampoo import preconditioned, shampoo
from studies.ideas.table import table
from studies.shared.answers import packed
from studies.shared.short import HELD_OUT


def test_each_idea_changes_the_pooled_preset():
    configs = {case.change: config_of(case) for case in cases() if case.seed == 0}
    assert set(configs) == {*CHANGES, *SHAMPOO}
    assert len({str(configs[name]) for name in CHANGES}) == len(CHANGES)
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


def test_shampoo_evens_directions_out():
    rows = torch.randn(6, 40, dtype=torch.float64) * torch.tensor([10.0, 1, 1, 1, 0.1, 0.1])[:, None]
    step = preconditioned(rows, rows @ rows.mT)
    assert step.square().mean() == pytest.approx(1)
    values = torch.linalg.svdvals(step)
    torch.testing.assert_close(values, values[:1].expand(6))  # as Muon has it, by the last gradient alone
    assert preconditioned(torch.zeros(3, 4), torch.zeros(3, 3)).isfinite().all()


def test_shampoo_learns():
    network = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(8, 40), layer_options={"pooled_interneuron": True})
    optimizer, images = shampoo(network, 0.3), torch.rand(60, 1, 8, 8)
    labels = torch.arange(60) % 3
    images[labels == 1, :, :4] *= 0.2
    images[labels == 2, :, :, :4] *= 0.2
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
