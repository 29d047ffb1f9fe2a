"""What is kept of a simulation while it runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from conductance.biophysics.in_time import Membranes, Moment
from conductance.biophysics.openings import Traces
from conductance.errors import InputError

Quantity = Literal["potential", "conductances", "currents", "spikes"]


@dataclass(frozen=True)
class Simulation:
    """The course of a network's membranes.

    What `simulate` was not asked to record is empty. Currents and conductances are those of the step that begins at
    each record, in the mean over the step; the leak is among them.

    Attributes:
        time: of each record in ms, (T,), from 0 on, in float64.
        potential: V in mV by layer, ``(T, N, units, *positions)``, or (T, N, chosen units).
        logits: the readout's output for the last layer's open probabilities, (T, N, classes).
        mean_potential: the mean V in mV by layer over all steps from `average_from` on, ``(N, units, *positions)``.
        mean_logits: the mean logits likewise, (N, classes).
        excitation, inhibition: E' and I' in nS by layer, as ``potential``.
        excitatory_current, inhibitory_current: E' (E_max - V) and I' (E_min - V) in pA by layer, where E_max and E_min
            are what valences 1 and -1 stand for. Their sum charges the membrane: C dV/dt.
        spikes: how often each neuron fired since the record before, (T, N, ...): of a circuit's inputs and populations
            by their names; of the neurons that another layer reads by ``onto`` and the layer's name.
    """

    time: Tensor
    potential: dict[str, Tensor]
    logits: Tensor
    mean_potential: dict[str, Tensor]
    mean_logits: Tensor
    excitation: dict[str, Tensor] = field(default_factory=dict)
    inhibition: dict[str, Tensor] = field(default_factory=dict)
    excitatory_current: dict[str, Tensor] = field(default_factory=dict)
    inhibitory_current: dict[str, Tensor] = field(default_factory=dict)
    spikes: dict[str, Tensor] = field(default_factory=dict)


class Recorder:
    """Keeps the moments of a simulation.

    Args:
        chosen: the units to keep of each layer or train of spikes, by name, None for all; others are not kept. None
            for all of everything.
        quantities: which.
    """

    def __init__(self, chosen: Mapping[str, Tensor] | None, quantities: Collection[Quantity]) -> None:
        self.chosen, self.quantities = chosen, set(quantities)
        self.time: list[float] = []
        self.logits: list[Tensor] = []
        self.kept: dict[str, dict[str, list[Tensor]]] = {}
        self.averaged = 0
        self.sums: dict[str, Tensor] = {}
        self.sum_of_logits = torch.zeros(())

    def keep(
        self, time: float, moments: Mapping[str, tuple[Membranes, Moment]], trains: Mapping[str, Traces], logits: Tensor
    ) -> None:
        """Keep this moment."""
        self.time.append(time)
        self.logits.append(logits)
        for name, (membranes, moment) in moments.items():
            for quantity, values in self._quantities(membranes, moment).items():
                self._append(quantity, name, values)
        if "spikes" in self.quantities:
            for name, train in trains.items():
                self._append("spikes", name, train.take_fired())

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        tensors = [*self.logits, *(each for names in self.kept.values() for part in names.values() for each in part)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def average(self, moments: Mapping[str, tuple[Membranes, Moment]], logits: Tensor) -> None:
        """Count this moment among those that the means are of."""
        self.averaged += 1
        self.sum_of_logits = self.sum_of_logits + logits
        for name, (_, moment) in moments.items():
            self.sums[name] = self.sums[name] + moment.potential if name in self.sums else moment.potential

    def simulation(self) -> Simulation:
        """All that was kept."""
        return Simulation(
            time=torch.tensor(self.time, dtype=torch.float64),
            logits=torch.stack(self.logits),
            mean_potential={name: total / self.averaged for name, total in self.sums.items()},
            mean_logits=self.sum_of_logits / self.averaged,
            **{
                "potential": {},
                **{
                    quantity: {name: torch.stack(values) for name, values in by_name.items()}
                    for quantity, by_name in self.kept.items()
                },
            },
        )

    def _quantities(self, membranes: Membranes, moment: Moment) -> dict[str, Tensor]:
        V, E, I = moment.potential, moment.excitation, moment.inhibition
        found = {"potential": V} if "potential" in self.quantities else {}
        if "conductances" in self.quantities:
            found |= {"excitation": E, "inhibition": I}
        if "currents" in self.quantities:
            potentials = membranes.membranes.potentials
            found["excitatory_current"] = E * (potentials.maximum - V)
            found["inhibitory_current"] = I * (potentials.minimum - V)
        return found

    def _append(self, quantity: str, name: str, values: Tensor) -> None:
        if self.chosen is not None:
            if name not in self.chosen:
                return
            values = _of_units(values, self.chosen[name], name)
        self.kept.setdefault(quantity, {}).setdefault(name, []).append(values)


def _of_units(values: Tensor, indices: Tensor, name: str) -> Tensor:
    units = values[0].numel()
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < units:
        raise InputError(f"units of layer {name}: it has {units} of them, numbered from 0")
    return values.flatten(1)[:, indices]
