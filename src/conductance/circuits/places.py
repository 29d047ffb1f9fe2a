"""Where neurons are: the points of a grid in one to three dimensions, and the distances between two grids."""

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from conductance.errors import InputError

MOST_AXES = 3


@dataclass(frozen=True)
class Places:
    """A grid, with ``channels`` neurons at each of its points.

    Neurons are counted channel by channel, and within a channel point by point, as images are flattened.
    """

    grid: tuple[int, ...]
    channels: int = 1

    @property
    def points(self) -> int:
        """How many points the grid has."""
        return math.prod(self.grid)

    @property
    def units(self) -> int:
        """How many neurons there are."""
        return self.channels * self.points

    def positions(self) -> Tensor:
        """Coordinates of each neuron in steps of the grid, (units, axes)."""
        points = torch.tensor(list(product(*map(range, self.grid))), dtype=torch.float64, device="cpu")
        return points.repeat(self.channels, 1)

    def __str__(self) -> str:
        return "x".join(map(str, self.grid)) + (f", {self.channels} channels" if self.channels > 1 else "")


def places(name: str, size: int | tuple[int, ...], channels: int = 1) -> Places:
    """The places of a population: a number of neurons stands in a row.

    Raises:
        InputError: a size below 1, or more than three axes.
    """
    grid = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not 1 <= len(grid) <= MOST_AXES:
        raise InputError(f"{name}: the grid {grid} has {len(grid)} axes; give one to three")
    if any(not isinstance(n, int) or n < 1 for n in (*grid, channels)):
        raise InputError(f"{name}: size {size}, channels {channels}: give whole numbers, 1 or more")
    return Places(grid, channels)


def distances(source: Places, target: Places, wrap: bool = False) -> Tensor:
    """The distance of each target neuron from each source neuron, (target units, source units).

    Both grids cover the same space, and distances are counted in steps of the source's grid.

    Args:
        source: places of the presynaptic neurons.
        target: places of the postsynaptic neurons.
        wrap: whether opposite edges touch.

    Raises:
        InputError: the grids have different numbers of axes.
    """
    if len(source.grid) != len(target.grid):
        raise InputError(
            f"a grid of {source.grid} and one of {target.grid} have different numbers of axes, so no distance is "
            "defined between them; give both populations grids of one kind"
        )
    extent = torch.tensor(source.grid, dtype=torch.float64, device="cpu")
    step = extent / torch.tensor(target.grid, dtype=torch.float64, device="cpu")
    apart = ((target.positions() + 0.5) * step - 0.5)[:, None] - source.positions()[None]
    if wrap:
        apart = apart - extent * torch.round(apart / extent)
    return apart.square().sum(-1).sqrt()
