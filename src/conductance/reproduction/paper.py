"""Tables 1 and 2 of the paper: the network of each cell, and the test accuracy that the paper reports for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from conductance.errors import UnknownNameError
from conductance.runs.names import preset_name


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        dataset: mnist or cifar10.
        architecture: fcn, cnn or resnet18.
        family: the layers of the network.
        paper: the test accuracy (%) in the paper.
    """

    dataset: str
    architecture: str
    family: str
    paper: float

    @property
    def kind(self) -> tuple[str, str, str]:
        """Data set, architecture and family."""
        return self.dataset, self.architecture, self.family

    @property
    def name(self) -> str:
        """What the command line and the presets call it, e.g. ``mnist-cnn-cwa``."""
        return preset_name(self.dataset, self.architecture, self.family)


TABLES: dict[str, tuple[Cell, ...]] = {
    "table1": (
        Cell("mnist", "fcn", "cwa", 98.65),
        Cell("mnist", "fcn", "affine_bn", 98.72),
        Cell("mnist", "cnn", "cwa", 98.89),
        Cell("mnist", "cnn", "affine_bn", 99.42),
        Cell("mnist", "resnet18", "cwa", 99.02),
        Cell("mnist", "resnet18", "affine_bn", 99.59),
        Cell("cifar10", "fcn", "cwa", 61.98),
        Cell("cifar10", "fcn", "cwa_bn", 64.93),
        Cell("cifar10", "fcn", "affine", 65.10),
        Cell("cifar10", "fcn", "affine_bn", 63.93),
        Cell("cifar10", "cnn", "cwa", 78.09),
        Cell("cifar10", "cnn", "affine", 73.40),
        Cell("cifar10", "cnn", "affine_bn", 88.60),
        Cell("cifar10", "resnet18", "cwa", 85.06),
        Cell("cifar10", "resnet18", "affine", 79.60),
        Cell("cifar10", "resnet18", "affine_bn", 91.25),
    ),
    "table2": (
        Cell("cifar10", "fcn", "cwa", 61.98),
        Cell("cifar10", "fcn", "absnorm", 59.95),
        Cell("cifar10", "fcn", "cwa_li", 62.03),
    ),
}
"""The paper's tables. It tried CWA with BatchNorm in one network only, so table 1 is empty elsewhere."""


def select_cells(table: str, names: Iterable[str] = ()) -> tuple[Cell, ...]:
    """The cells of a table, or only the named ones, in the table's order.

    Raises:
        UnknownNameError: no such table, or the table has no such cell; names the nearest.
    """
    if table not in TABLES:
        raise UnknownNameError("table", table, TABLES)
    cells, wanted = TABLES[table], set(names)
    for name in sorted(wanted - {cell.name for cell in cells}):
        raise UnknownNameError(f"cell of {table}", name, [cell.name for cell in cells])
    return tuple(cell for cell in cells if cell.name in wanted) if wanted else cells
