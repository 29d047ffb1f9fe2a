"""What is said about large runs: estimates that follow from the code, and tables that follow from what was measured."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from conductance.bench.cost import training_cost
from conductance.bench.products import floating_point_operations
from conductance.bench.scale import BASE, GROWN, IMAGENET, imagenet_resnet18
from conductance.errors import InputError

ROOT = Path(__file__).parents[2]
RESNET18 = {"parameters": 11_689_512, "multiply_adds": 1.81e9}
"""As PyTorch's documentation of torchvision's network states them."""


def on_meta(family):
    with torch.device("meta"):
        return imagenet_resnet18(family)


def cost_of(network, epochs=1):
    return training_cost(network, (3, IMAGENET["size"], IMAGENET["size"]), IMAGENET["images"], epochs)


def test_the_affine_network_has_the_published_size():
    network = on_meta("affine_bn")
    assert sum(parameter.numel() for parameter in network.parameters()) == RESNET18["parameters"]
    assert cost_of(network).multiply_adds == pytest.approx(RESNET18["multiply_adds"], rel=0.01)


def test_conductances_cost_as_much_but_for_the_doubled_image():
    affine, conductances = (cost_of(on_meta(family)).multiply_adds for family in ("affine_bn", "cwa"))
    stem = 64 * 3 * 7 * 7 * (IMAGENET["size"] // 2) ** 2
    assert conductances == affine + stem


def test_the_operations_of_a_step_are_those_that_torch_counts():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(512, 10)
    )
    images = torch.rand(4, 3, 8, 8, requires_grad=True)  # else the first layer has a product less
    counted = floating_point_operations(lambda: network(images).sum().backward())
    assert training_cost(network, (3, 8, 8), 4, 1).operations == counted
    assert training_cost(network, (3, 8, 8), 2, 6).operations == 3 * counted


def test_hours_follow_from_rate_and_share():
    cost = cost_of(on_meta("cwa"), epochs=90)
    assert cost.hours(cost.operations / 3600, 0.5) == pytest.approx(2)
    with pytest.raises(InputError, match="a share lies in"):
        cost.hours(1e12, 0)


def test_the_tables_are_those_of_the_measurements(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import write_scale

    figures = json.loads((write_scale.FOLDER / "scale.json").read_text())
    assert len(figures["steps"]) == sum(map(len, GROWN.values()))
    assert all(step["case"].keys() == vars(BASE).keys() for step in figures["steps"])
    page = (ROOT / "docs/scale.md").read_text()
    for name, table in write_scale.tables(figures).items():
        assert (write_scale.FOLDER / name).read_text() == table
        assert table.rstrip() in page
