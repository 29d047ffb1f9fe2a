"""Networks to convert, and what each conversion promises."""

from itertools import pairwise

from torch import nn

import conductance
from conductance.nn import ConductanceLayer, read_valences
from conductance.transform import Conversion


def assert_faithful(report: Conversion, example) -> None:
    """What every conversion promises: inputs in [0, 1], finite outputs, valences on which readers agree, gradients.

    (In training, dropout scales what it leaves.)
    """
    model = report.model
    for dropout in model.modules():
        if isinstance(dropout, nn.Dropout):
            dropout.p = 0.0
    inputs = []
    for layer in model.modules():
        if isinstance(layer, ConductanceLayer):
            layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
    for training in (False, True):
        model.train(training)
        with conductance.validate(model, most_dead=1.0, most_saturated=1.0):
            output = model(example)
        assert output.isfinite().all()
    assert inputs
    assert all(float(p.min()) >= 0 and float(p.max()) <= 1 for p in inputs)
    model.train()
    model(example).square().mean().backward()
    for reading in read_valences(model, example):
        assert reading.layer.doubled_input or not (reading.mixed or reading.disagreeing)


def mlp(*activations, widths=(6, 8, 8, 4)):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    parts = [
        part for layer, activation in zip(layers, [*activations, None], strict=True) for part in (layer, activation)
    ]
    return nn.Sequential(*parts[:-1])
