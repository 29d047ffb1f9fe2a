"""No step of training waits for the device: on a pretended GPU, waiting is an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# In a process of its own, for torch learns of the pretended device for good.
PROGRAM = """
import json, sys, warnings
import torch
from torch import nn
from torch.nn import functional as F
from pretended_gpu import GPU, PretendedGPU, WaitsError, no_waiting
from conductance import nn as cnn, optim
from conductance.data.augment import shift_and_flip
from conductance.models import create_model
from conductance.optim import rules
from conductance.training.tally import Tally

warnings.simplefilter("ignore")
rules.FUSED_DEVICES = (*rules.FUSED_DEVICES, GPU.type)  # as a GPU does; its count of steps stays there

def network(architecture="cnn", family="cwa", widths=(4, 8), **options):
    chosen = {name: options.pop(name) for name in ("shortcut",) if name in options}
    return create_model(architecture, family, (3, 8, 8), 10, widths=widths, layer_options=options, **chosen)

NETWORKS = {
    "fcn": lambda: network("fcn"),
    "cnn": lambda: network(learn_resting=True),
    "resnet18": lambda: network("resnet18"),
    "joined": lambda: network("resnet18", shortcut="conductance"),
    "interneurons": lambda: network(family="cwa_li"),
    "pooled": lambda: network(pooled_interneuron=True),
    "rectified": lambda: network(nonnegative="rectified"),
    "gates": lambda: network(learn_gate=True),
    "affine_bn": lambda: network(family="affine_bn"),
    "absnorm": lambda: network(family="absnorm"),
    "mixed order": lambda: nn.Sequential(nn.Flatten(), cnn.CWALinear(192, 10, valence=[1.0, -1.0, -1.0] * 64)),
}
OPTIMIZERS = {
    "muon": {"name": "muon"}, "adam": {"name": "adam"}, "sgd": {"name": "sgd"}, "eg": {"name": "eg"},
    "muon, centered": {"name": "muon", "centered": True, "leak_lr": 1e-3},
}

def step(model, optimizer, images, labels, tally):
    outputs = model(shift_and_flip(images).float().div_(255))
    loss = F.cross_entropy(outputs, labels, label_smoothing=0.1)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    tally.add(loss, len(labels), (outputs.detach().argmax(1) == labels).sum(), (outputs, labels))

def waits_of(model, options):
    model = model.to(GPU).train()
    optimizer = optim.create_optimizer(model, **options)
    images, labels, tally = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8), torch.randint(10, (4,)), Tally()
    images, labels = images.to(GPU), labels.to(GPU)
    step(model, optimizer, images, labels, tally)
    with no_waiting():
        try:
            step(model, optimizer, images, labels, tally)
        except WaitsError as error:
            import traceback
            return str(error) + "".join(traceback.format_tb(error.__traceback__)[-12:])
    moved = [parameter for parameter in model.parameters() if parameter.device.type != GPU.type]
    return "parameters were not on the device" if moved else None

with PretendedGPU():
    found = {f"{network}, muon": waits_of(build(), OPTIMIZERS["muon"]) for network, build in NETWORKS.items()}
    found |= {f"cnn, {name}": waits_of(NETWORKS["cnn"](), options) for name, options in OPTIMIZERS.items()}
    loss = network().to(GPU)(torch.rand(2, 3, 8, 8).to(GPU)).sum()
    for name, run in {"item": loss.item, "copy": lambda: torch.ones(3).to(GPU)}.items():
        with no_waiting():
            try:
                found[name] = str(run())
            except WaitsError as error:
                found[name] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def waits():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def test_the_pretended_gpu_notices_who_waits(waits):
    assert "_local_scalar_dense" in waits["item"]
    assert "_to_copy" in waits["copy"]


def test_no_step_of_training_waits(waits):
    steps = {name: reason for name, reason in waits.items() if name not in ("item", "copy")}
    assert len(steps) > 12
    assert {name: reason for name, reason in steps.items() if reason} == {}
