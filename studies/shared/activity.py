"""What the hidden layers of a CNN say, and how alike their units are."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.nn import ConductanceLayer


@torch.no_grad()
def before_rectification(network: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """z of each hidden layer of a CNN; affine sums, normalized over the batch where BatchNorm follows."""
    hidden = network.get_submodule("hidden")
    assert isinstance(hidden, nn.Sequential)
    x = images
    for stage in hidden:
        if isinstance(stage, ConductanceLayer):
            z = functional.membrane_potential(*stage.excitation_inhibition(x))
        else:
            assert isinstance(stage, nn.Sequential)
            z = stage[:-1](x)
        yield z
        x = z.relu()


def common_mode(values: Tensor) -> float:
    """The share of the squares of a matrix (samples, units) that its first singular value holds."""
    energies = torch.linalg.svdvals(values.double()).square()
    return float(energies[0] / energies.sum())
