"""Random networks that a live page can show, and what the layers of one do."""

import torch
from hypothesis import strategies as st
from torch import nn

from conductance.data import Preprocessing
from conductance.nn import AveragingLayer, CWAConv2d, CWALinear
from conductance.share.source import Source

SIDE = 7


def source_of(network, shape, *, count=4, kind="unit", **known):
    """A network with random images."""
    pixels = torch.randint(0, 256, (count, *shape), dtype=torch.uint8)
    return Source("random", network.eval(), Preprocessing.fit(kind, pixels), None, pixels, **known)


@st.composite
def options(draw, units, channels):
    """Of a layer of conductances."""
    mixed = st.lists(st.sampled_from([1.0, -1.0, 0.25, -0.4]), min_size=channels, max_size=channels)
    valence = draw(st.none() | mixed.filter(lambda values: max(values) > 0 > min(values)))
    doubled = valence is None and (channels < 2 or draw(st.booleans()))
    return {
        "valence": valence,
        "doubled_input": doubled,
        "activation": draw(st.sampled_from(["relu", "full_range"])),
        "learn_gate": draw(st.booleans()),
        "pooled_interneuron": draw(st.booleans()),
        "resting_conductance": draw(st.sampled_from([0.0, 0.1, 2.0])),
        "resting_potential": draw(st.sampled_from([-0.5, 0.0, 0.3])),
        "unit_valence": draw(st.none() | st.just([1.0] + [-1.0] * (units - 1))),
    }


@st.composite
def convolutions(draw, channels):
    """A convolution with random options that fits an image of `SIDE`."""
    groups = draw(st.sampled_from([1, channels]))
    units = 2 * channels
    kernel, stride = draw(st.sampled_from([1, 3, (3, 2)])), draw(st.sampled_from([1, 2, (1, 2)]))
    named = ["same", "valid"] if stride == 1 and kernel != (3, 2) else []  # torch warns of "same" for even kernels
    return CWAConv2d(
        channels,
        units,
        kernel,
        stride=stride,
        padding=draw(st.sampled_from([0, 1, (1, 0), *named])),
        dilation=draw(st.sampled_from([1, 1, 2])),
        groups=groups,
        **(draw(options(units, channels)) | ({"valence": None, "doubled_input": True} if groups > 1 else {})),
    )


POOLS = (
    lambda: nn.Identity(),
    lambda: nn.MaxPool2d(2, ceil_mode=False),
    lambda: nn.AvgPool2d(3, stride=2, padding=1),
    lambda: nn.AdaptiveAvgPool2d(1),
    lambda: nn.AdaptiveMaxPool2d(1),
)


@st.composite
def networks(draw):
    """A chain of one or two convolutions, pools, perhaps a linear layer of conductances, and a readout."""
    torch.manual_seed(draw(st.integers(0, 2**20)))
    channels = draw(st.sampled_from([1, 3]))
    first = draw(convolutions(channels))
    body = nn.Sequential(first, nn.Dropout(0.1), draw(st.sampled_from(POOLS))())
    if draw(st.booleans()):
        body.append(CWAConv2d(2 * channels, 4, 1, **draw(options(4, 2 * channels))))
    body.append(nn.Flatten())
    example = torch.zeros(2, channels, SIDE, SIDE)
    features = body.eval()(example).shape[1]
    if draw(st.booleans()):
        body.append(CWALinear(features, 5, **draw(options(5, features))))
        features = 5
    return source_of(nn.Sequential(body, nn.Linear(features, 3)), (channels, SIDE, SIDE))


@torch.no_grad()
def as_it_is(source):
    """z of each layer of conductances, place after place, and the outputs, for all images of a source."""
    seen = []

    def note(layer, inputs, _):
        E, I = layer.excitation_inhibition(*inputs)
        z = (E - I) / (E + I)
        seen.append(z.movedim(1, -1).flatten(1))

    layers = [part for part in source.network.modules() if isinstance(part, AveragingLayer)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    outputs = source.network(source.preprocessing(source.images))
    for hook in hooks:
        hook.remove()
    return seen, outputs
