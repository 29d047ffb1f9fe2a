"""Networks that other people define, from their configs: converted, in range, and still learning."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.data import load_dataset
from conductance.nn import ConductanceLayer
from studies.converted import measure as study
from studies.converted.measure import Case
from studies.converted.networks import NETWORKS
from studies.shared.growing import read_rows

pytest.importorskip("transformers", reason="transformers is not installed; its networks are not built")


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("digits")
    return data.train.pixels.float() / 255, data.train.labels.long()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_that_averages_reads_open_probabilities(name, digits):
    torch.manual_seed(0)
    images = digits[0][:64]
    report = conductance.convert(NETWORKS[name](), images)
    assert all(line.input is not None and line.output.within(-1, 1) for line in report.layers)
    with conductance.validate(report.model):
        report.model(images)
    kept = {line.name for line in report.kept}
    attention = {each for each in kept if each.endswith(("q_proj", "k_proj", "v_proj"))}
    assert len(attention) == (6 if name == "vit" else 0)
    assert len(kept - attention) == (2 if name == "u-net" else 1)  # the readout; a transposed convolution
    assert len(report.dropped) == sum(isinstance(part, nn.BatchNorm2d) for part in NETWORKS[name]().modules())
    assert not report.warnings


def test_a_converted_resnet_trains_to_above_90_percent(monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", 6)
    assert study.train(Case("resnet", "converted", 1e-2, "test", 0))["accuracy"] > 90


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_every_converted_network_trains_to_above_90_percent(name, seed):
    step = study.chosen_steps(read_rows(study.FOLDER.result))[name, "converted"]
    assert study.train(Case(name, "converted", step, "test", seed))["accuracy"] > 90


def test_conductances_stay_non_negative_while_a_converted_network_learns(digits):
    torch.manual_seed(0)
    images, labels = digits
    model = conductance.convert(NETWORKS["residual"](), images[:256]).model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for batch in torch.randperm(len(images)).split(32):
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    assert all(bool((part.conductance >= 0).all()) for part in model.modules() if isinstance(part, ConductanceLayer))


def test_timms_resnet():
    timm = pytest.importorskip("timm", reason="timm is not installed: it needs torchvision, which is not used here")
    report = conductance.convert(timm.create_model("resnet18", num_classes=10), torch.rand(4, 3, 64, 64))
    assert [line.name for line in report.kept] == ["fc"]
    assert len(report.layers) == 20
