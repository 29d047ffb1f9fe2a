"""Random layers and networks of every kind that a file can say, with an input of each."""

import warnings

import torch
from hypothesis import strategies as st
from torch import nn

import conductance
from conductance import nn as cnn
from conductance.circuits import Circuit, Convolution, Dense, Sparse

FORMS = ("clamped", "rectified", "softplus")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
FAMILIES = ("cwa", "cwa_li", "cwa_bn", "affine", "affine_bn", "absnorm")


@st.composite
def valences(draw, channels):
    """None, or mixed ones."""
    if draw(st.booleans()):
        return None
    values = draw(st.lists(st.sampled_from([1.0, -1.0, 0.25, -0.4]), min_size=channels, max_size=channels))
    return values if len(set(values)) > 1 or channels == 1 else None


@st.composite
def membranes(draw, units):
    """Options that every layer that averages has."""
    each = st.lists(st.floats(0.125, 2), min_size=units, max_size=units).map(torch.tensor)
    return {
        "resting_conductance": draw(st.none() | st.floats(0, 3) | each),
        "resting_potential": draw(st.floats(-1, 1) | each.map(lambda values: values / 2)),
        "learn_resting": draw(st.booleans()),
        "activation": draw(st.sampled_from(["relu", None, "full_range"])),
        "learn_gate": draw(st.booleans()),
        "detached_denominator": draw(st.booleans()),
        "pooled_interneuron": draw(st.booleans()),
        "dtype": draw(st.sampled_from(DTYPES)),
    }


@st.composite
def layers(draw):
    """A layer with random options, and an input."""
    groups, units = draw(st.sampled_from([1, 2])), 2 * draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 3))
    options = draw(membranes(units))
    kind = draw(st.sampled_from(["linear", "conv1d", "conv2d", "conv3d", "lateral", "lateral2d", "abs", "abs2d"]))
    if not kind.startswith("abs"):
        options["nonnegative"] = draw(st.sampled_from(FORMS))
        options["unit_valence"] = draw(valences(units))
        options["valence"] = draw(valences(channels))
        if options["valence"] is None:
            options["doubled_input"] = draw(st.none() | st.booleans())
    if kind.startswith("lateral"):
        del options["pooled_interneuron"]
        options |= {"interneurons": draw(st.sampled_from([0.25, 0.5, 1.3])), "slices": draw(st.integers(0, 2))}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "all .* presynaptic channels are")
        if kind in ("linear", "lateral", "abs"):
            made = {"linear": cnn.CWALinear, "lateral": cnn.LateralLinear, "abs": cnn.AbsNormLinear}[kind]
            layer, shape = made(channels, units, **options), (3, channels)
        else:
            made, axes = {
                "conv1d": (cnn.CWAConv1d, 1),
                "conv2d": (cnn.CWAConv2d, 2),
                "conv3d": (cnn.CWAConv3d, 3),
                "lateral2d": (cnn.LateralConv2d, 2),
                "abs2d": (cnn.AbsNormConv2d, 2),
            }[kind]
            stride, padding = draw(st.sampled_from([(1, "same"), (2, 1), (1, 0)]))
            layer = made(channels, units, 3, stride, padding, groups=groups, **options)
            shape = (2, channels, *[5] * axes)
    return layer, torch.rand(shape, dtype=options["dtype"])


@st.composite
def networks(draw):
    """One of the paper's networks, and images."""
    architecture, family = draw(st.sampled_from(["fcn", "cnn", "resnet18"])), draw(st.sampled_from(FAMILIES))
    options = {"widths": (4, 6)}
    if architecture == "resnet18":
        joints = ["sum", "mean"] + ["conductance"] * (family in ("cwa", "cwa_li", "absnorm"))
        options = {"widths": (4, 4), "blocks": 2, "shortcut": draw(st.sampled_from(joints))}
        if options["shortcut"] != "conductance" and draw(st.booleans()):
            options["branch_scale"] = 0.3
    channels = draw(st.sampled_from([1, 3]))
    model = conductance.create_model(architecture, family, (channels, 8, 8), 5, **options)
    return model, torch.rand(3, channels, 8, 8)


@st.composite
def recurrent(draw):
    """A recurrent network, and a sequence."""
    model = cnn.CWARNN(
        3,
        4,
        draw(st.integers(1, 2)),
        batch_first=draw(st.booleans()),
        activation=draw(st.sampled_from(["relu", None])),
        doubled_input=draw(st.booleans()),
        unit_valence=draw(valences(4)),
        nonnegative=draw(st.sampled_from(FORMS)),
        learn_resting=draw(st.booleans()),
        learn_tau=draw(st.booleans()),
        pooled_interneuron=draw(st.booleans()),
        truncation=draw(st.none() | st.just(2)),
    )
    return model, torch.rand(5, 2, 3)


@st.composite
def circuits(draw):
    """A circuit of two populations, dense, sparse or convolutional, and images."""
    circuit = Circuit()
    circuit.input("retina", (4, 4), channels=1, coding=draw(st.sampled_from([None, "on_off", "doubled"])))
    times = {
        "tau_membrane": draw(st.none() | st.just(5.0)),
        "tau_synapse": draw(st.none() | st.just(3.0)),
        "gate": draw(st.sampled_from(["rectified", "logistic"])),
        "learn_gate": draw(st.booleans()),
        "learn_resting": draw(st.booleans()),
        "pooled_interneuron": draw(st.booleans()),
    }
    local = draw(st.booleans())
    circuit.population("E", (4, 4) if local else 12, channels=2 if local else 1, **times)
    circuit.population("PV", 3, reversal="GABA-A")
    rule = Convolution(3, padding=1) if local else draw(st.sampled_from([Dense(), Sparse(0.7)]))
    circuit.connect("retina", "E", rule=rule, plastic=draw(st.booleans()))
    circuit.connect("E", "PV", plastic=draw(st.booleans()))
    if not local:
        circuit.connect("PV", "E", delay=draw(st.sampled_from([1, 2])))
    try:
        network = circuit.build(slices=draw(st.integers(1, 3)), readout=4, outputs="E")
    except conductance.ConductanceError:  # no path from PV to an output
        circuit.connect("PV", "PV")
        network = circuit.build(slices=2, readout=4, outputs=["E", "PV"])
    return network, torch.rand(2, 1, 4, 4)


def sequences():
    """A network of torch's modules and layers of conductances, of which one stands at two places."""
    shared = cnn.CWALinear(6, 6)
    tied = nn.Linear(6, 6, bias=False)
    readout = nn.Linear(6, 6, bias=False)
    readout.weight = tied.weight
    model = nn.Sequential(
        cnn.ScaledInput(cnn.CWAConv2d(2, 4, 3, groups=2, padding=1), 2.0),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        cnn.SignedInput(cnn.CWAConv2d(8, 4, 3, stride=2, doubled_input=True), 1.5, grows=True),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(4, 6),
        nn.Sigmoid(),
        shared,
        shared,
        tied,
        nn.GELU(approximate="tanh"),
        nn.Dropout(0.5),
        nn.LayerNorm(6, elementwise_affine=False),
        readout,
        nn.Softmax(-1),
    )
    model[0].layer.g.requires_grad_(False)
    return model, torch.rand(3, 2, 5, 5)
