"""How parameters move: Adam, SGD with Nesterov momentum and exponentiated gradient (Muon has its own file).

A rule takes the parameters of one group that have a gradient, the optimizer's state, and the group with its options:
``lr * scale`` is the step size, ``betas[0]`` the momentum, ``least`` what no parameter may fall below, or None.
"""

from collections.abc import MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as torch_adam

from conductance.kernels import steps

State = MutableMapping[Tensor, Any]
Group = dict[str, Any]

FUSED_DEVICES = ("cpu", "cuda", "mps")

# A conductance changes at most by a factor of e per step: a larger exponent is no gradient step any more.
LARGEST_EXPONENT = 1.0


def adam(parameters: Sequence[Tensor], state: State, group: Group) -> None:
    """Adam (Kingma & Ba, 2015), torch's own implementation, with torch's names for its state.

    Where there is a limit and the parameter is large, one C++ pass takes the step and keeps it (`kernels.steps`).
    """
    left = [parameter for parameter in parameters if not _adam_in_one_pass(parameter, state, group)]
    if left:
        _torch_adam(left, state, group)
        limit(left, group)


def _adam_in_one_pass(parameter: Tensor, state: State, group: Group) -> bool:
    """Take the step, unless it has to be taken otherwise."""
    own, gradient = state[parameter], gradient_of(parameter)
    if not own:
        own["step"] = torch.zeros((), dtype=torch.float32)
        own["exp_avg"] = torch.zeros_like(parameter)
        own["exp_avg_sq"] = torch.zeros_like(parameter)
    own["step"] = own["step"].to(parameter.device)  # loaded, it lies where it was saved
    means = own["exp_avg"], own["exp_avg_sq"]
    if group["least"] is None or not steps.serve(parameter, gradient, *means):
        return False
    own["step"] += 1
    options = {name: group[name] for name in ("betas", "eps", "least")}
    lr = float(group["lr"] * group["scale"])
    steps.adam(parameter, gradient, *means, step=int(own["step"]), lr=lr, **options)
    return True


def limit(parameters: Sequence[Tensor], group: Group) -> None:
    """Set what has fallen below ``least`` to it."""
    if group["least"] is not None:
        torch._foreach_clamp_min_(list(parameters), group["least"])


def _torch_adam(parameters: Sequence[Tensor], state: State, group: Group) -> None:
    states = [state[parameter] for parameter in parameters]
    alike = all(own["exp_avg"].stride() == p.stride() for p, own in zip(parameters, states, strict=True))
    torch_adam(
        list(parameters),
        [_stored_like(parameter, gradient_of(parameter)) for parameter in parameters],
        [own["exp_avg"] for own in states],
        [own["exp_avg_sq"] for own in states],
        [],
        [own["step"] for own in states],
        fused=alike and all(_is_fused(p) for p in parameters),
        amsgrad=False,
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        lr=group["lr"] * group["scale"],
        weight_decay=0.0,
        eps=group["eps"],
        maximize=False,
    )


def _is_fused(parameter: Tensor) -> bool:
    """Whether torch's fused Adam takes it, which goes through memory as if numbers lay side by side."""
    last = sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
    known = parameter.device.type in FUSED_DEVICES and parameter.is_floating_point()
    return known and last + 1 == parameter.numel()


def _stored_like(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in its parameter's memory format: torch's fused Adam reads numbers as they lie in memory."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def sgd(parameters: Sequence[Tensor], state: State, group: Group) -> None:
    """SGD with Nesterov momentum, as torch's.

    B <- mu B + gradient,   g <- g - lr * scale * (gradient + mu B)
    """
    mu = group["betas"][0]
    for parameter in parameters:
        direction = gradient_of(parameter)
        if mu > 0:
            own = state[parameter]
            if "momentum_buffer" in own:
                own["momentum_buffer"].mul_(mu).add_(direction)
            else:
                own["momentum_buffer"] = direction.clone()
            direction = direction.add(own["momentum_buffer"], alpha=mu)
        parameter.add_(direction, alpha=-group["lr"] * group["scale"])
    limit(parameters, group)


def exponentiated_gradient(parameters: Sequence[Tensor], state: State, group: Group) -> None:
    """Exponentiated gradient with momentum (Kivinen & Warmuth 1997; Cornford et al. 2024 for Dale's law).

        M <- mu M + (1 - mu) gradient,   g <- g exp(-lr * scale * M)

    Conductances change by factors: none changes its sign, large ones move most, and those that start log-normal stay
    so. A conductance of 0 stays 0. The exponent is clamped to [-1, 1].
    """
    for parameter in parameters:
        mean = running_mean(parameter, state, group["betas"][0])
        exponent = mean * (-group["lr"] * group["scale"])
        parameter.mul_(exponent.clamp_(-LARGEST_EXPONENT, LARGEST_EXPONENT).exp_())
    limit(parameters, group)


def running_mean(parameter: Tensor, state: State, momentum: float) -> Tensor:
    """The exponential running mean of a parameter's gradient, which starts at 0."""
    own = state[parameter]
    if not own:
        own["momentum_buffer"] = torch.zeros_like(parameter)
    mean: Tensor = own["momentum_buffer"].lerp_(gradient_of(parameter), 1 - momentum)
    return mean


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient of a parameter that has one.

    Raises:
        RuntimeError: it is sparse.
    """
    gradient = parameter.grad
    assert gradient is not None
    if gradient.is_sparse:
        raise RuntimeError("this optimizer takes no sparse gradients; give those parameters to torch.optim.SparseAdam")
    return gradient
