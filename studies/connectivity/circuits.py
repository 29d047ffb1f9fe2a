"""Circuits that differ in who connects to whom, and networks that differ in the synapses of each unit alone."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance.circuits import Circuit, InDegree, Rule, Sparse, WithinDistance
from conductance.nn import CWAConv2d

SIDE, CLASSES, EXCITATORY, INTERNEURONS = 28, 10, 144, 36
GRID = (12, 12)
RADIUS = 5.0
SLICES = 4
KERNELS = (3, 5, 7, 9, 11)
OF_KERNELS = 40_000  # synapses of two convolutions and a readout
PLACES = (SIDE // 4) ** 2


@dataclass(frozen=True)
class Layer:
    """A hidden layer that reads images of so many numbers by so many synapses in all, those of the readout too."""

    data: str
    received: int
    synapses: int

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """Synapses of each unit; at most one to excite and one to inhibit for each number."""
        all_of_them = 2 * self.received
        return (*(each for each in (25, 100, 400, 1568) if each < all_of_them), all_of_them)

    def units(self, fan_in: int) -> int:
        """So many units that all synapses together are about `synapses`."""
        return self.synapses // (fan_in + CLASSES)


MNIST, CIFAR10 = Layer("mnist", SIDE * SIDE, 50_000), Layer("cifar10", 3 * 32 * 32, 200_000)

SHARES = (5, 10, 20, 50)
CIRCUITS = (
    "dense",
    "feed-forward interneurons",
    "lateral interneurons",
    "E to E",
    *(f"sparse {share} %" for share in SHARES),
    "local",
    "random, as many as local",
)


def neighbors() -> int:
    """How many synapses a neuron has in the mean with the local rule."""
    probe = Circuit()
    x, e = probe.input("x", (SIDE, SIDE), coding="doubled"), probe.population("E", GRID)
    probe.connect(x, e, rule=WithinDistance(RADIUS))
    return round(probe.build().synapse_count / EXCITATORY)


def _rule(name: str) -> Rule | None:
    if name.startswith("sparse"):
        return Sparse(int(name.split()[1]) / 100)
    if name == "local":
        return WithinDistance(RADIUS)
    return InDegree(neighbors()) if name.startswith("random") else None


def circuit(name: str) -> nn.Module:
    """A layer of half excitatory, half inhibitory neurons that read a doubled image, and what its name adds."""
    made = Circuit()
    x = made.input("x", (SIDE, SIDE), coding="doubled")
    half = [1.0] * (EXCITATORY // 2) + [-1.0] * (EXCITATORY // 2)
    e = made.population("E", GRID, valence=half, resting_potential=-50)
    if "interneurons" in name:
        i = made.population("I", INTERNEURONS, valence=-1, resting_potential=-50, tau_synapse=2)
        made.connect(x if name.startswith("feed-forward") else e, i, delay=0 if name.startswith("feed-forward") else 1)
        made.connect(i, e, delay=0)
    made.connect(x, e, rule=_rule(name))
    if name == "E to E":
        made.connect(e, e, delay=1)
    return made.build(slices=1 if name in ("dense", "local") or _rule(name) else SLICES, readout=CLASSES, outputs=e)


class SparseAffine(nn.Module):
    """Rectified affine units of so many synapses each, from pixels drawn at random."""

    exists: Tensor

    def __init__(self, received: int, units: int, synapses: int) -> None:
        super().__init__()
        chosen = torch.rand(units, received).topk(synapses, 1).indices
        self.register_buffer("exists", torch.zeros(units, received).scatter(1, chosen, 1.0))
        self.weights = nn.Parameter(torch.randn(units, received) * (2 / synapses) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, units)."""
        return nn.functional.linear(images.flatten(1), self.weights * self.exists, self.bias).relu()


def by_fan_in(family: str, layer: Layer, fan_in: int) -> nn.Module:
    """One hidden layer in which each unit has so many synapses; affine ones half as many, for their input is single."""
    units = layer.units(fan_in)
    if family == "affine":
        return nn.Sequential(SparseAffine(layer.received, units, max(1, fan_in // 2)), nn.Linear(units, CLASSES))
    made = Circuit()
    x = made.input("x", layer.received, coding="doubled")
    half = [1.0] * (units // 2) + [-1.0] * (units - units // 2)
    made.connect(x, made.population("E", units, valence=half, resting_potential=-50), rule=InDegree(fan_in))
    return nn.Sequential(nn.Flatten(), made.build(readout=CLASSES))


def channels(kernel: int) -> int:
    """So many channels, an even number, that all synapses, those of the readout too, are about `OF_KERNELS`."""
    square = kernel**2  # synapses: square * (2 * width + width**2) + CLASSES * PLACES * width
    half = square + CLASSES * PLACES / 2
    return 2 * round(((half**2 + square * OF_KERNELS) ** 0.5 - half) / square / 2)


def by_kernel(kernel: int) -> nn.Module:
    """Two convolutions of conductances with this kernel, each at every second place, and a readout."""
    width = channels(kernel)
    return nn.Sequential(
        CWAConv2d(1, width, kernel, stride=2, padding=kernel // 2),
        CWAConv2d(width, width, kernel, stride=2, padding=kernel // 2),
        nn.Flatten(),
        nn.Linear(PLACES * width, CLASSES),
    )
