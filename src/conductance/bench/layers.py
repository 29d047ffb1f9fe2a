"""Each layer of the paper's networks, forward and backward, against affine layers of as many synapses."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from conductance import kernels
from conductance.bench.rounds import BASELINE, TUNED, Timing, take_turns
from conductance.bench.tuned import tuned
from conductance.kernels.gpu.choice import on_gpu
from conductance.kernels.onednn import faster_products
from conductance.models import create_model
from conductance.nn import ConductanceLayer
from conductance.nn.visit import visit

NETWORKS = {"fcn": 250, "cnn": 250, "resnet18": 64}  # images in a batch
COLOUR_IMAGE = (3, 32, 32)


class Case(NamedTuple):
    """A layer of a network and what it receives."""

    name: str
    layer: ConductanceLayer
    p: Tensor


def cases(architecture: str, batch_size: int, device: torch.device) -> list[Case]:
    """The layers of one of the paper's networks on color images, equal shapes once."""
    model = create_model(architecture, "cwa", COLOUR_IMAGE, 10)
    channels_last(model.to(device))
    images = torch.rand(batch_size, *COLOUR_IMAGE, device=device).to(memory_format=torch.channels_last)
    found: dict[str, Case] = {}

    def look(_: str, layer: ConductanceLayer, p: Tensor) -> None:
        name = f"{architecture} {_shape(layer, p)}"
        found.setdefault(name, Case(name, layer, p.detach()))

    with torch.no_grad():
        visit(model, images, look)
    return list(found.values())


def _shape(layer: ConductanceLayer, p: Tensor) -> str:
    first = " (image, doubled)" if layer.doubled_input else ""
    sizes = f"{layer.in_channels} -> {layer.out_channels}"
    if p.ndim == 2:
        return f"{sizes}{first}, batch {len(p)}"
    stride = "/2" if layer.convolution["stride"][0] == 2 else ""
    kernel, side = layer.g.shape[-1], p.shape[-1]
    return f"{sizes}{first}, {kernel}x{kernel}{stride} on {side}x{side}, batch {len(p)}"


def bench_layers(
    device: torch.device, rounds: int, networks: dict[str, int] = NETWORKS, without: Collection[str] = ()
) -> Iterator[Timing]:
    """Time every layer of the networks.

    The affine layers have as many synapses as the conductance layer: a doubled input is given to them twice. The
    literal form of paper eq. 6 computes numerator and denominator over all channels.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        networks: architectures and the images in a batch.
        without: contenders that stay away.
    """
    for architecture, batch_size in networks.items():
        for case in cases(architecture, batch_size, device):
            present = {name: run for name, run in contenders(case).items() if name not in without}
            yield from take_turns(case.name, present, rounds, device)
    kernels.use_average(None)


def contenders(case: Case) -> dict[str, Callable[[], object]]:
    """What takes part, each a forward and a backward pass with gradients of input and parameters."""
    layer, p = case.layer, case.p
    first = layer.doubled_input
    layer.activation = "relu"
    doubled = torch.cat([p, p], 1) if first else p
    bare = _affine(layer, bias=True)
    on_cpu = p.device.type == "cpu"
    serves = {"blocked": on_cpu, "native": on_cpu, "triton": on_gpu(p)}
    averages = [name for name in kernels.AVERAGES if serves.get(name, True)]
    fair = {TUNED: faster_products()(_pass(tuned(_normed(layer)), doubled, not first))} if on_cpu else {}
    return {
        BASELINE: _pass(_normed(layer), doubled, not first),
        **fair,
        "affine+ReLU": _pass(nn.Sequential(bare, nn.ReLU(inplace=True)), doubled, not first),
        "literal eq. 6": _pass(_Literal(layer), doubled, not first),
        **{f"CWA {name}": _with_average(name, _pass(layer, p, not first)) for name in averages},
    }


def _normed(layer: ConductanceLayer) -> nn.Module:
    norm = nn.BatchNorm1d if layer.g.ndim == 2 else nn.BatchNorm2d
    affine = _affine(layer, bias=False)
    return nn.Sequential(affine, norm(layer.out_channels, device=layer.g.device), nn.ReLU(inplace=True))


def _affine(layer: ConductanceLayer, bias: bool) -> nn.Module:
    device, fan_in = layer.g.device, layer.g.shape[1]
    if layer.g.ndim == 2:
        return nn.Linear(fan_in, layer.out_channels, bias, device=device)
    size = layer.g.shape[-1]
    affine = nn.Conv2d(fan_in, layer.out_channels, size, **layer.convolution, bias=bias, device=device)
    return channels_last(affine)


def channels_last(model: nn.Module) -> nn.Module:
    """The layout that convolutions are fastest in, for everybody alike."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


class _Literal(nn.Module):
    """Numerator and denominator of paper eq. 6 as two products over all channels."""

    def __init__(self, layer: ConductanceLayer) -> None:
        super().__init__()
        self.g = layer.g
        self.layer = [layer]  # not a submodule: its parameter is here already

    def forward(self, p: Tensor) -> Tensor:
        layer = self.layer[0]
        shape = (-1, *(1,) * (self.g.ndim - 2))
        signed = self.g * layer.valence.view(shape)
        numerator = layer.synaptic_sum(p, signed, None) + (layer.leak.pair[0] - layer.leak.pair[1]).view(shape)
        denominator = layer.synaptic_sum(p, self.g, None) + layer.leak.pair.sum(0).view(shape)
        return torch.relu(numerator / denominator)


def _pass(layer: nn.Module, p: Tensor, with_input_gradient: bool) -> Callable[[], object]:
    p = p.clone().requires_grad_(with_input_gradient)
    inputs = [*([p] if with_input_gradient else []), *layer.parameters()]
    gradient = torch.randn_like(layer(p))
    # a view, for torch's counter of operations cannot follow the gradient of a leaf
    return lambda: torch.autograd.grad(layer(p.view_as(p)), inputs, gradient)


def _with_average(name: str, run: Callable[[], object]) -> Callable[[], object]:
    def chosen() -> object:
        kernels.use_average(name)
        return run()

    return chosen
