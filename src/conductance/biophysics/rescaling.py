"""Millivolts to valences and back: potentials are rescaled to [-1, 1], conductances stay as they are."""

from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from torch import Tensor

from conductance.biophysics._checks import refuse_volts
from conductance.checked import checked
from conductance.errors import InputError

Potential = TypeVar("Potential", float, Tensor)


@checked
@dataclass(frozen=True)
class PotentialRange:
    """The potentials in mV that the valences -1 and +1 stand for (paper section 2.3).

        e = 2 (E - E_min) / (E_max - E_min) - 1

    The map is affine and eq. 1 is an average, so averaging and rescaling commute: V of eq. 1, rescaled, is z of
    eq. 3 with the same conductances in nS. Only ratios of conductances enter either, so they need no rescaling:
    one factor on every G and on G_r changes nothing.

    The default range puts a neuron's potentials where physiology has them: AMPA (0 mV) at 1, GABA-A (-70 mV) at -0.4,
    GABA-B (-90 mV) at -0.8, rest (-65 mV) at -0.3, and 0, where p = max(z, 0) begins to open, at -50 mV. A potential
    outside the range maps outside [-1, 1].

    Args:
        minimum: E_min in mV.
        maximum: E_max in mV; by default AMPA's reversal potential.

    Raises:
        InputError: the maximum is not above the minimum, one is not finite, or they look like volts.

    >>> PotentialRange().to_valence(-50.0)
    0.0
    """

    minimum: float = -100.0
    maximum: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.minimum) and isfinite(self.maximum) and self.minimum < self.maximum):
            raise InputError(
                f"the potential range {self.minimum:g} to {self.maximum:g} mV is empty or unbounded; "
                "give a finite maximum above the minimum"
            )
        refuse_volts((self.minimum, self.maximum), "the potential range")

    @property
    def midpoint(self) -> float:
        """The potential in mV of valence 0: eq. 4's threshold."""
        return (self.minimum + self.maximum) / 2

    @property
    def half_width(self) -> float:
        """The millivolts to one unit of valence: eq. 4's slope factor."""
        return (self.maximum - self.minimum) / 2

    def to_valence(self, potential: Potential) -> Potential:
        """Rescale a potential in mV, any shape: E_min to -1 and E_max to +1, both exactly."""
        return 2 * (potential - self.minimum) / (self.maximum - self.minimum) - 1

    def to_millivolts(self, valence: Potential) -> Potential:
        """Give a rescaled potential back in mV, any shape: -1 to E_min and +1 to E_max, both exactly."""
        return (self.maximum * (1 + valence) + self.minimum * (1 - valence)) / 2


DEFAULT_RANGE = PotentialRange()
