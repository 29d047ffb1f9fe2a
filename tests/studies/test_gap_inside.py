"""The study of the inside of the gap: its cases, what it measures, its table and figure."""

from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import pytest
import torch

from conductance.data import Images
from conductance.init import conductance_layers
from conductance.models import create_model
from conductance.presets import get_preset
from conductance.training import Trainer
from studies.gap_inside.figure import SHOWN, gap_inside_figure
from studies.gap_inside.inside import directions, look_inside, probe
from studies.gap_inside.measure import ALONE, NETWORKS, cases, config_of, pooled_in_one
from studies.gap_inside.table import WORDS, table


def test_networks_differ_as_they_are_called():
    configs = {case.network: config_of(case) for case in cases() if case.seed == 0}
    assert set(SHOWN) | set(WORDS) <= set(NETWORKS)
    plain, pooled = configs["cwa"], configs["cwa, pooled"]
    assert pooled == replace(get_preset("cifar10-cnn-cwa-pooled"), epochs=plain.epochs)
    assert all(configs[name] == pooled for name in ALONE)


def test_one_layer_alone_keeps_its_interneuron():
    network = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(4, 6), layer_options={"pooled_interneuron": True})
    pooled_in_one(network, 2)
    assert [layer.pooled_interneuron for layer in conductance_layers(network)] == [False, True]


@pytest.mark.parametrize("family", ["cwa", "affine_bn"])
def test_each_layer_has_each_number(family):
    images = Images(torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8), torch.arange(40) % 3)
    network = create_model("cnn", family, (1, 8, 8), 3, widths=(4, 6))
    trainer = Trainer(network, images, progress=False)
    rows = list(look_inside(trainer, images, images))
    wanted = {(layer, what) for layer in (1, 2) for what in ("common mode", "synapses", "gradient", "readout")}
    assert {(row["layer"], row["quantity"]) for row in rows} == wanted
    assert all(0 <= row["value"] <= (100 if row["quantity"] == "readout" else 1 + 1e-6) for row in rows)


@pytest.mark.parametrize(("matrix", "share"), [(torch.eye(4), 1.0), (torch.ones(4, 4), 0.25)])
def test_directions(matrix, share):
    assert directions(matrix) == pytest.approx(share)


def test_a_readout_finds_classes_that_lie_apart():
    labels = torch.arange(200) % 4
    inputs = torch.nn.functional.one_hot(labels, 6).float() + 0.1 * torch.randn(200, 6)
    assert probe(inputs, labels, inputs, labels) == 100
    assert probe(torch.randn(200, 6), labels, torch.randn(200, 6), labels) < 60


def test_table_and_figure():
    make = partial(dict, seed="0", commit="", command="")
    rows = [
        make(network=network, when=str(when), layer=layer, quantity=quantity, value=str(value + when))
        for network, value in (("cwa", 0.1), ("cwa, pooled", 0.4), ("affine_bn", 0.5))
        for when in (0, 5)
        for layer, quantity in (("", "validation"), ("", "training"), ("1", "readout"), ("1", "gradient"))
    ]
    assert table(rows).splitlines()[3] == "| **with a pooled interneuron in each layer** | 5.40 | +0.30 | 5.4 |"
    ElementTree.fromstring(gap_inside_figure(rows))
