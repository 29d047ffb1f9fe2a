"""Recurrent layers with as many parameters each, and a readout of their last step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from conductance.nn import CWARNN
from conductance.optim import create_optimizer
from studies.recurrence.tasks import Task

EXCITATORY_SHARE = 0.8


class DaleRNN(nn.Module):
    r"""Rate units under Dale's law, after Song, Yang and Wang (2016).

    .. math:: v \leftarrow (1 - \alpha) v + \alpha (W_{in} x + |W| D r + b), \qquad r = \max(v, 0),

    where D is diagonal: 1 for the four fifths of the units that excite, -1 for the others. The interface is that of
    ``torch.nn.RNN`` with ``batch_first``.
    """

    valence: Tensor

    def __init__(self, features: int, units: int, alpha: float) -> None:
        super().__init__()
        self.alpha, self.units = alpha, units
        self.from_input = nn.Linear(features, units)
        excitatory = round(EXCITATORY_SHARE * units)
        self.register_buffer("valence", torch.where(torch.arange(units) < excitatory, 1.0, -1.0))
        strength = torch.distributions.Gamma(2.0, 2.0).sample((units, units))
        strength[:, excitatory:] *= excitatory / (units - excitatory)  # balanced
        radius = torch.linalg.eigvals(strength * self.valence).abs().max()
        self.recurrent = nn.Parameter(strength / radius)

    def forward(self, steps: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(N, time, features) to r at every step and v after the last."""
        received = self.from_input(steps)
        v = received.new_zeros(1, len(steps), self.units) if state is None else state
        v, weights, sent = v[0], (self.recurrent.abs() * self.valence).T, []
        for now in received.unbind(1):
            v = torch.lerp(v, now + v.relu() @ weights, self.alpha)
            sent.append(v.relu())
        return torch.stack(sent, 1), v[None]


class LastStep(nn.Module):
    """A recurrent layer and a readout of its last step, or of the last step of each stretch."""

    def __init__(self, recurrent: nn.Module, units: int, task: Task) -> None:
        super().__init__()
        self.recurrent, self.stretch = recurrent, task.stretch
        self.readout = nn.Linear(units, task.classes)

    def forward(self, steps: Tensor) -> Tensor:
        """(N, time, features) to logits, (N, classes)."""
        return self.answers(steps)[-1]

    def answers(self, steps: Tensor) -> list[Tensor]:
        """The logits at the end of each stretch; no gradient goes from one stretch to the one before."""
        found, state = [], None
        for part in steps.split(self.stretch or steps.shape[1], 1):
            output, state = self.recurrent(part, state)
            state = state.detach()
            found.append(self.readout(output[:, -1]))
        return found


Make = Callable[[Task, int], nn.Module]
Setting = tuple[str, str]
"""What a setting is called, beside the network's name."""


def spread(units: int) -> Tensor:
    """Time constants from 5 to 300 steps, evenly on a logarithmic scale, the same for both kinds of units."""
    half = torch.logspace(0.7, 2.5, units // 2, dtype=torch.float64)
    return torch.cat([half, half])


def _conductances(**options: Any) -> Make:
    def make(task: Task, units: int) -> nn.Module:
        given = {**options, "tau_membrane": spread(units)} if options.get("tau_membrane") is None else options
        return CWARNN(task.features, units, batch_first=True, **given)

    return make


def _adam(step: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda network: torch.optim.Adam(network.parameters(), step)


def _torch(kind: type[nn.RNN] | type[nn.GRU]) -> Make:
    return lambda task, units: kind(task.features, units, batch_first=True)


def _dale(alpha: float) -> Make:
    return lambda task, units: DaleRNN(task.features, units, alpha)


SETTINGS: dict[str, dict[str, tuple[Make, Callable[[nn.Module], torch.optim.Optimizer]]]] = {
    "CWARNN": {
        "tau 30": (_conductances(tau_membrane=30.0), create_optimizer),
        "tau 60": (_conductances(tau_membrane=60.0), create_optimizer),
        "tau 5 to 300": (_conductances(), create_optimizer),
        "tau 5 to 300, learned": (_conductances(learn_tau=True), create_optimizer),
        "tau 5 to 300, learned, step 0.05": (
            _conductances(learn_tau=True),
            lambda network: create_optimizer(network, lr=0.05),
        ),
    },
    "RNN": {f"Adam {step:g}": (_torch(nn.RNN), _adam(step)) for step in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)},
    "GRU": {f"Adam {step:g}": (_torch(nn.GRU), _adam(step)) for step in (1e-3, 3e-3, 1e-2, 3e-2)},
    "Dale RNN": {
        f"Adam {step:g}, alpha {alpha:g}": (_dale(alpha), _adam(step))
        for step in (1e-3, 3e-3, 1e-2, 3e-2)
        for alpha in (0.2, 0.5, 1.0)
    },
}


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


def units_of(name: str, setting: str, task: Task) -> int:
    """The most units with which a network has no more parameters than the conductance layer of the task."""
    if name == "CWARNN":
        return task.units
    most = parameters(CWARNN(task.features, task.units))
    make, units = SETTINGS[name][setting][0], 2
    while parameters(make(task, units + 1)) <= most:
        units += 1
    return units


def build(name: str, setting: str, task: Task) -> tuple[LastStep, Callable[[nn.Module], torch.optim.Optimizer]]:
    """A network with its readout, and what makes its optimizer."""
    units = units_of(name, setting, task)
    make, optimizer = SETTINGS[name][setting]
    return LastStep(make(task, units), units, task), optimizer
