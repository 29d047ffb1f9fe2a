"""Networks turned into other networks."""

from conductance.transform.freeze import freeze
from conductance.transform.frozen import FrozenAverage

__all__ = ["FrozenAverage", "freeze"]
