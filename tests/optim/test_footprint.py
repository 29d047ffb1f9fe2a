"""The memory that training takes, as it is told before and as it is measured."""

import gc

import pytest
import torch
from torch.nn.functional import cross_entropy

import conductance
from conductance.bench.memory import peak_bytes
from conductance.memory import in_bytes
from conductance.optim import create_optimizer

SHAPE = (3, 32, 32)
NETWORKS = [
    ("fcn", "cwa", (400, 300)),
    ("cnn", "cwa", (16, 32, 64)),
    ("cnn", "cwa_li", (16, 32, 64)),
    ("cnn", "cwa_bn", (16, 32, 64)),
    ("cnn", "affine", (16, 32, 64)),
    ("cnn", "affine_bn", (16, 32, 64)),
    ("cnn", "absnorm", (16, 32, 64)),
    ("resnet18", "cwa", (8, 16, 32, 64)),
]


def on_meta(architecture, family, widths, samples=64):
    with torch.device("meta"):
        return conductance.create_model(architecture, family, SHAPE, widths=widths), torch.empty(samples, *SHAPE)


@pytest.mark.parametrize("rule", ["muon", "adam"])
@pytest.mark.parametrize(("architecture", "family", "widths"), NETWORKS)
def test_the_measured_peak_is_near_the_estimate(architecture, family, widths, rule):
    network = conductance.create_model(architecture, family, SHAPE, widths=widths)
    images, classes = torch.rand(64, *SHAPE), torch.randint(10, (64,))

    def train():
        optimizer = create_optimizer(network, rule)
        for _ in range(2):
            cross_entropy(network(images), classes).backward()
            optimizer.step()
            optimizer.zero_grad()
        return optimizer

    told = conductance.estimate(*on_meta(architecture, family, widths), optimizer=rule)
    measured = peak_bytes(train, torch.device("cpu")) + told.parameters
    assert 0.9 < told.total / measured < 1.3


def test_nothing_is_made_of_what_is_asked_on_the_meta_device():
    network, batch = on_meta("fcn", "cwa", (10**5, 10**5))
    assert conductance.estimate(network, batch).total > 10**11


def test_a_network_is_left_as_it_was():
    network = conductance.create_model("fcn", "cwa", SHAPE, widths=(4,)).eval()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    told = conductance.estimate(network, torch.rand(2, *SHAPE), optimizer=None)
    assert told.gradients == told.optimizer == 0 < told.activations < told.parameters
    assert not network.training
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_the_parts_add_up_and_more_images_take_more():
    few, many = (conductance.estimate(*on_meta("cnn", "cwa", (8, 8), samples)) for samples in (10, 100))
    assert few.activations * 9 < many.activations < few.activations * 11
    assert str(few).startswith(f"{in_bytes(few.total)} (parameters")
    assert few.total == few.parameters + few.gradients + few.optimizer + few.activations


@pytest.mark.parametrize(("architecture", "family", "widths"), NETWORKS[1::3])
def test_no_tensor_outlives_the_estimate(architecture, family, widths):
    def alive():
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    network, batch = on_meta(architecture, family, widths, samples=2)
    before = alive()
    conductance.estimate(network, batch)
    assert alive() <= before  # what other tests have left may end in between
