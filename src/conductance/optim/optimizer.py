"""One torch optimizer for a whole network, in which each group of parameters names the rule it moves by."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.nonnegative import note_nonnegative
from conductance.optim.muon import muon
from conductance.optim.rules import adam, exponentiated_gradient, sgd

RuleName = Literal["muon", "adam", "sgd", "eg"]
RULES: Mapping[RuleName, Callable[..., None]] = {
    "muon": muon,
    "adam": adam,
    "sgd": sgd,
    "eg": exponentiated_gradient,
}
OPTIMIZERS: tuple[RuleName, ...] = get_args(RuleName)


class ConductanceOptimizer(Optimizer):
    """A torch optimizer whose parameter groups may follow different rules.

    `create_optimizer` makes one for a network. Schedulers, hooks, gradient scalers, closures and checkpoints work as
    with any optimizer of torch. Momentum is ``betas[0]`` under every rule, so schedulers that cycle it act on all
    groups.

    Args:
        params: parameters, or groups of them; each group may have its own value of every argument below.
        lr: step size, >= 0; a fraction of ``scale``.
        rule: ``"muon"`` (`muon.muon`), ``"adam"``, ``"sgd"`` (Nesterov momentum) or ``"eg"`` (exponentiated gradient).
        betas: decay of the running means of the gradient (the momentum, under every rule) and of its square (Adam
            only), in [0, 1).
        eps: Adam's.
        scale: what ``lr`` is a fraction of, for example the mean conductance of a layer.
        block: Muon: number of units made orthogonal together, at least 1.
        kinds: Muon: number of presynaptic channels of each kind, in order; None for one kind.
        mask: Muon: nonzero where a synapse exists, of the shape of the group's parameters; None where all do.
        least: parameters below it are set to it after each step; None for no such limit. `create_optimizer` sets it to
            0 for conductances, so that a closed synapse stays within reach of the next gradient that opens it.

    Raises:
        UnknownNameError: there is no such rule.
        InputError: a number is out of range, or a parameter has too few axes for Muon.
    """

    @checked
    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        rule: RuleName = "adam",
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        scale: float = 1.0,
        block: int = 32,
        kinds: tuple[int, ...] | None = None,
        mask: Tensor | None = None,
        least: float | None = None,
    ) -> None:
        of_muon = {"block": block, "kinds": kinds, "mask": mask}
        defaults = {"lr": lr, "rule": rule, "betas": betas, "eps": eps, "scale": scale, **of_muon, "least": least}
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; options left out have the optimizer's defaults.

        Raises:
            UnknownNameError: there is no such rule.
            InputError: a number is out of range, or a parameter has too few axes for Muon.
        """
        _check_options({**self.defaults, **param_group})
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["rule"] == "muon" and any(parameter.ndim < 2 for parameter in group["params"]):
            self.param_groups.pop()
            raise InputError(
                "muon moves parameters of two or more axes, (units, synapses, ...); choose another rule for vectors"
            )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss and its gradients anew.

        Returns:
            What ``closure`` returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                RULES[group["rule"]](parameters, self.state, group)
                if group["least"] is not None and group["least"] >= 0:
                    for parameter in parameters:
                        note_nonnegative(parameter)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, with the options of its groups, rules included.

        Raises:
            InputError: it is the state of an optimizer of version 0.1 with several parts, or of other parameters.
            ValueError: it does not fit this optimizer's groups.
        """
        if "parts" in state_dict and "param_groups" not in state_dict:
            raise InputError(
                "this optimizer state was saved by conductance 0.1 (it has 'parts'), and 0.2 cannot continue from it; "
                "load the model's state and start with a new optimizer"
            )
        super().load_state_dict(state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        for parameter, own in state["state"].items():
            if isinstance(parameter, Tensor):
                _check_shapes(parameter, own)
        super().__setstate__(state)
        for group in self.param_groups:  # a state of torch.optim.Adam has no rule and no scale
            for name, value in _ADAM.items():
                group.setdefault(name, value)
            for parameter in group["params"]:
                _lay_out_like(parameter, self.state.get(parameter, {}))


_ADAM = {"rule": "adam", "scale": 1.0, "block": 32, "kinds": None, "mask": None, "least": None}


def _check_options(group: Mapping[str, Any]) -> None:
    if group["rule"] not in RULES:
        raise UnknownNameError("rule of an optimizer", group["rule"], RULES)
    numbers = torch.as_tensor(group["lr"]).numel()
    if numbers != 1:
        raise InputError(f"lr holds {numbers} numbers; give one")
    for name in ("lr", "eps", "scale"):
        if not 0 <= group[name] < float("inf"):
            raise InputError(f"{name}={group[name]}: must not be negative, and finite")
    betas = group["betas"]
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise InputError(f"betas={betas}: give two numbers in [0, 1)")
    if group["block"] < 1:
        raise InputError(f"block={group['block']}: at least one unit is made orthogonal at a time")


def _check_shapes(parameter: Tensor, state: Mapping[str, Any]) -> None:
    """Refuse a state of other shapes than its parameter: compiled steps, torch's too, would read beyond its end."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.ndim > 0 and value.shape != parameter.shape:
            raise InputError(
                f"this optimizer state holds {name} of the shape {tuple(value.shape)} for a parameter of the shape "
                f"{tuple(parameter.shape)}; load the state that was saved with this network"
            )


def _lay_out_like(parameter: Tensor, state: dict[str, Any]) -> None:
    """Store what is loaded in the memory format of its parameter.

    A state saved on a GPU may be in channels-last order, and torch's fused Adam on a CPU reads numbers in the order in
    which they are stored.
    """
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
            state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
