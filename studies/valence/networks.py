"""Networks whose hidden units have any valences, given or learned."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conductance.nn import ConductanceLayer, CWAConv2d, CWALinear
from conductance.valence import excitatory_first

CLASSES = 10
FCN_WIDTHS, CNN_WIDTHS = (200, 100), (16, 32, 64)


def valences(name: str, units: int) -> Tensor:
    """What the units of a layer are.

    A name is a share of excitatory units such as "80:20", with valences 1 and -1; "graded", evenly from 1 to -1; or
    shares and values, such as "80:15:5 of 1, -0.4, -0.8".
    """
    if name == "graded":
        return torch.linspace(1, -1, units, dtype=torch.float64)
    shares, _, values = name.partition(" of ")
    if not values:
        return excitatory_first(units, float(shares.partition(":")[0]) / 100)
    bounds = (torch.tensor(list(map(float, shares.split(":")))).cumsum(0) / 100 * units).round().long()
    kinds = torch.bucketize(torch.arange(units), bounds, right=True)
    return torch.tensor(list(map(float, values.split(", "))), dtype=torch.float64)[kinds]


class LearnedValence(nn.Module):
    """A layer that reads units whose valences are learned, each within [-1, 1], instead of given."""

    def __init__(self, layer: ConductanceLayer) -> None:
        super().__init__()
        self.layer = layer
        self.e = nn.Parameter(layer.valence.detach().clone())

    def forward(self, p: Tensor) -> Tensor:
        """Open probabilities to open probabilities; eq. 3 with e as a parameter."""
        layer = self.layer
        e = self.e + (self.e.clamp(-1, 1) - self.e).detach()  # within bounds, and the gradient passes
        G = layer.conductance
        leak = layer.resting_conductance
        driving = layer.synaptic_sum(
            p * e.view(-1, *(1,) * (-1 - layer.channel_axis)), G, leak * layer.resting_potential
        )
        return (driving / layer.synaptic_sum(p, G, leak)).clamp(min=0)


def build(kind: str, shape: Sequence[int], condition: str) -> nn.Module:
    """A network of doubled inputs, hidden layers with these valences, and an affine readout.

    Args:
        kind: "FCN" or "CNN".
        shape: of an image, (C, H, W).
        condition: a name of `valences`, or "learned from" one.
    """
    learned, start = condition.startswith("learned from "), condition.removeprefix("learned from ")
    channels, height, width = shape
    layers: list[nn.Module] = [nn.Flatten()] if kind == "FCN" else []
    received, before = (channels * height * width if kind == "FCN" else channels), None
    for units in FCN_WIDTHS if kind == "FCN" else CNN_WIDTHS:
        own = valences(start, units)
        options = {"valence": before, "unit_valence": own, "doubled_input": before is None}
        if kind == "FCN":
            layer: ConductanceLayer = CWALinear(received, units, **options)  # type: ignore[arg-type]
        else:
            layer = CWAConv2d(received, units, 3, 2, 1, **options)  # type: ignore[arg-type]
            height, width = -(-height // 2), -(-width // 2)
        layers.append(LearnedValence(layer) if learned and before is not None else layer)
        received, before = units, own
    size = received if kind == "FCN" else received * height * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, CLASSES))
