"""The study of pooled interneurons: its cases, its variants and its table."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conductance import functional
from conductance.init import conductance_layers
from conductance.models import create_model
from conductance.nn import CWAConv2d, CWALinear
from studies.pooled.measure import CHANGES, cases, config_of
from studies.pooled.table import WORDS, table
from studies.pooled.variants import (
    VARIANTS,
    EightGroups,
    Pool,
    PooledSum,
    Recurrent,
    StronglyRecurrent,
    pool_sums,
    with_variant,
)
from studies.shared.packing import packed


def test_pairs_differ_in_the_interneuron_alone():
    by_case = {(case.network, case.family, case.change, case.seed): config_of(case) for case in cases()}
    for (network, family, change, seed), config in by_case.items():
        if change == "pooled":
            plain = by_case[network, family, "none", seed]
            assert config == replace(plain, conductance=replace(plain.conductance, pooled_interneuron=True))
    assert list(WORDS) == list(CHANGES)
    assert {case.change for case in cases()[:26]} == {"none", "pooled"}  # first what matters most


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_ways_from_z_to_p_that_learn(variant):
    hidden = nn.Sequential(CWAConv2d(2, 8, 3), CWAConv2d(8, 4, 1))
    with_variant(hidden, variant)
    p = hidden(torch.rand(3, 2, 5, 5))
    assert p.shape == (3, 4, 3, 3)
    assert bool((p >= 0).all())
    p.square().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in hidden.parameters())


def test_a_residual_sum_is_pooled_once():
    options = {"pooled_interneuron": True}
    network = create_model("resnet18", "cwa", (3, 8, 8), 3, widths=(4, 4, 6, 6), layer_options=options)
    joined = []
    pool_sums(network)
    blocks = [module for module in network.modules() if isinstance(module, PooledSum)]
    assert len(blocks) == 8
    for block in blocks:
        block.register_forward_hook(lambda *called: joined.append(called[-1]))
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(bool(((p >= 0) & (p <= 1)).all()) for p in joined)
    pooled = [layer.pooled_interneuron for layer in conductance_layers(network)]
    assert sum(pooled) == 1 + len(blocks)  # the stem, and the first layer of each block
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_plain_one_is_the_products():
    layer, z = CWALinear(4, 8), 2 * torch.rand(5, 8) - 1
    torch.testing.assert_close(Pool(layer)(z), functional.pooled_interneuron(z, -1, "relu"))


@pytest.mark.parametrize("kind", [Recurrent, StronglyRecurrent])
def test_recurrent_ones_are_at_rest(kind):
    pool, z = kind(CWALinear(4, 8)), 2 * torch.rand(5, 8, dtype=torch.float64) - 1
    m = pool.mean(z)
    torch.testing.assert_close(m, kind.strength * pool.act(z, m).mean(-1, keepdim=True))


def test_each_group_has_a_mean_of_zero():
    pool, z = EightGroups(CWALinear(4, 16)), 2 * torch.rand(5, 16) - 1
    left = z - pool.mean(z)
    torch.testing.assert_close(left.view(5, 2, 8).mean(1), torch.zeros(5, 8))


def test_gains_are_paired_by_seed_and_variants_compared_with_the_product():
    answers = {"none": np.arange(1000) < 600, "pooled": np.arange(1000) < 700, "two pools": np.arange(1000) < 800}
    accuracies = {"none": ("60.00", "63.00"), "pooled": ("62.50", "64.00"), "two pools": ("70.00", "70.00")}
    rows = [
        {
            **{"network": "cnn", "family": "cwa", "training": "50.0", "change": change, "seed": str(seed)},
            **{"validation": value, "correct": packed(answers[change])},
        }
        for change, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    rows.append({**rows[0], "family": "absnorm", "correct": ""})
    none, pooled, two, other = (line.split(" | ") for line in table(rows).splitlines()[2:])
    assert none[4:6] == ["", "-10.00"]
    assert pooled[4:9] == ["+2.50, +1.00", "", "", "", ""]
    assert (two[5], two[-2]) == ("+10.00", "better")
    assert other[4:6] == ["+0.00", ""]
