"""Networks turned into other networks."""

from conductance.transform.freeze import FrozenAverage, freeze

__all__ = ["FrozenAverage", "freeze"]
