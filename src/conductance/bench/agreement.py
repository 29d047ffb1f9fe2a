"""How near each layer of the paper's networks comes to float64, forward and backward, where it is to be fast."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance import kernels
from conductance.bench.layers import Case, cases
from conductance.bench.setting import precision
from conductance.kernels.averaging import kernel_name

# Of the whole tensor's norm: what a product's factors lose, and then some.
BOUNDS = {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 3e-2}


@dataclass(frozen=True)
class Agreement:
    """The norm of what is wrong with a layer's results, as a share of the norm of what is right.

    Attributes:
        case: the layer.
        dtype: precision of the products.
        kernel: what averages.
        output, to_input, to_conductance: of p, and of the two gradients.
        agrees: whether all are below the bound of this precision.
    """

    case: str
    dtype: str
    kernel: str
    output: float
    to_input: float
    to_conductance: float
    agrees: bool


def compare_with_float64(device: torch.device, dtype: str, networks: dict[str, int]) -> Iterator[Agreement]:
    """Every layer of the networks, equal shapes once.

    Args:
        device: where to compute.
        dtype: "float32", "tf32" or "bfloat16".
        networks: architectures and the images in a batch.
    """
    for architecture, batch in networks.items():
        for case in cases(architecture, batch, device):
            yield _compare(case, dtype, device)


def _compare(case: Case, dtype: str, device: torch.device) -> Agreement:
    exact, layer = deepcopy(case.layer).double(), case.layer
    with precision(dtype, device):
        output = layer(p := case.p.clone().requires_grad_())
    kernels.use_average("formula")  # what is compared takes no part in what it is compared with
    wanted = exact(q := case.p.double().requires_grad_())
    grad = torch.randn_like(wanted) * ((wanted > 0) & (output > 0))  # rounding decides which units are just open
    right = torch.autograd.grad(wanted, [q, _parameter(exact)], grad)
    kernels.use_average(None)
    found = torch.autograd.grad(output, [p, _parameter(layer)], grad.to(output.dtype))
    forward, to_input, to_conductance = map(_error, (output, *found), (wanted, *right))
    agrees = max(forward, to_input, to_conductance) <= BOUNDS[dtype]
    kernel = kernel_name(output, case.layer.channel_axis)
    return Agreement(case.name, dtype, kernel, forward, to_input, to_conductance, agrees)


def _parameter(layer: nn.Module) -> Tensor:
    parameter = layer.g
    assert isinstance(parameter, Tensor)
    return parameter


def _error(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach().double(), wanted.detach()
    return float((found - wanted).norm() / wanted.norm().clamp(min=torch.finfo(torch.float64).tiny))
