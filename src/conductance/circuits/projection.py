"""A projection as a person describes it, and the synapses that its rule chooses."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.circuits.places import Places
from conductance.circuits.quantities import is_not_negative
from conductance.circuits.rules import Convolution, Dense, Rule
from conductance.errors import InputError
from conductance.memory import require_memory

_BYTES_OF_A_PAIR = 40  # a flag, a distance or a probability on the way, and the conductance as it is drawn


@dataclass(frozen=True)
class Projection:
    """From a source onto a target.

    Attributes:
        source: its name.
        target: its name.
        rule: which synapses there are.
        delay: in time slices.
        plastic: whether its synapses learn.
        conductance: of each synapse at the start; None for drawn ones.
    """

    source: str
    target: str
    rule: Rule
    delay: int
    plastic: bool
    conductance: float | None

    def check(self) -> None:
        """Insist on a rule, a delay and a conductance in range.

        Raises:
            InputError: one is not.
        """
        if not isinstance(self.rule, Rule):
            raise InputError(f"{self}: rule={self.rule!r} is no connectivity rule, such as Sparse(0.1) or Mask(matrix)")
        if not isinstance(self.delay, int) or self.delay < 0:
            raise InputError(f"{self}: delay={self.delay}; give a whole number of time slices, 0 or more")
        if self.conductance is not None and not is_not_negative(self.conductance):
            raise InputError(f"{self}: conductance={self.conductance}; give a finite number, 0 or more")

    @property
    def is_shared(self) -> bool:
        """Whether its synapses are a kernel's."""
        return isinstance(self.rule, Convolution)

    def mask(self, source: Places, target: Places) -> Tensor:
        """Which synapses there are, (target units, source units).

        Raises:
            InputError: none are, or the rule does not fit the populations.
        """
        require_memory(
            _BYTES_OF_A_PAIR * target.units * source.units,
            f"{self}, from {source.units:,} neurons to {target.units:,},",
            "make the populations smaller, or share synapses by Convolution",
        )
        everything = torch.ones(target.units, source.units, dtype=torch.bool, device="cpu")
        if isinstance(self.rule, Dense):
            return everything
        try:
            chosen = self.rule.choose(everything, source, target)
        except InputError as error:
            raise InputError(f"{self}: {error}") from None
        if not bool(chosen.any()):
            raise InputError(f"{self}: the rule leaves no synapse at all; loosen it, or leave the projection out")
        return chosen

    def __str__(self) -> str:
        return f"projection {self.source} -> {self.target}"
