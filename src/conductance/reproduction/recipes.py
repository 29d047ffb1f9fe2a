"""How a cell of the paper's tables is trained: by this package's own recipe, or as the paper says.

What the paper leaves open, and what was chosen: docs/reproduction.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from conductance.errors import UnknownNameError
from conductance.presets.named import get_preset
from conductance.reproduction.tables import Cell
from conductance.runs.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    ProtocolConfig,
    RunConfig,
)

PAPER_EPOCHS = 500
"""The paper gives none: it trains until the training set is fitted. A bound for those that never fit it."""

# Steps (section 4.3): 1e-5 for CWA, 1e-3 for affine networks. Ours is a share of a layer's mean synapse: of 1 for
# conductances around 1; of 0.01 to 0.05 for Glorot weights (0.09 in 1x1 kernels), so that a share of 0.04 is about
# 1e-3.
CWA_STEP, AFFINE_STEP = 1e-5, 1e-3
SHARE_OF_A_WEIGHT = 40.0
FCN_RESTING_POTENTIAL = -0.4


@dataclass(frozen=True)
class Recipe:
    """A way to train the cells.

    Attributes:
        name: what the command line and the tables call it.
        description: one line for people.
        config: the complete run of a cell, with seed 0.
        serves: whether a cell has a run of its own by this recipe.
    """

    name: str
    description: str
    config: Callable[[Cell], RunConfig]
    serves: Callable[[Cell], bool] = lambda _: True


def _modern(cell: Cell) -> RunConfig:
    return get_preset(cell.name)


def _paper(cell: Cell) -> RunConfig:
    affine = cell.family.startswith("affine")
    step = AFFINE_STEP if affine else CWA_STEP
    signed = affine or cell.family == "absnorm"
    return RunConfig(
        name=f"{cell.name}-paper",
        epochs=PAPER_EPOCHS,
        model=ModelConfig(cell.architecture, cell.family),
        conductance=ConductanceConfig(
            nonnegative="rectified",
            initialization="glorot",
            twin=False,
            balance=False,
            resting_conductance=1.0,
            resting_potential=FCN_RESTING_POTENTIAL if cell.architecture == "fcn" else 0.0,
        ),
        data=DataConfig(cell.dataset, augmentation="shift_flip" if cell.dataset == "cifar10" else "none"),
        optimizer=OptimizerConfig("adam", step * SHARE_OF_A_WEIGHT if signed else step, readout_learning_rate=step),
        protocol=ProtocolConfig("paper", patience=5 if affine else 25),
    )


def _paper_alive(cell: Cell) -> RunConfig:
    config = _paper(cell)
    return replace(
        config, name=f"{cell.name}-paper-alive", conductance=replace(config.conductance, resting_potential=0.0)
    )


def _starts_dead(cell: Cell) -> bool:
    """Whether e_r = -0.4 leaves layers without any open synapse; BatchNorm opens them again."""
    return cell.architecture == "fcn" and not cell.family.startswith("affine") and not cell.family.endswith("_bn")


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in [
        Recipe("modern", "this package's presets", _modern),
        Recipe("paper", "what section 4.3 says, to the letter", _paper),
        Recipe("paper-alive", "the same with e_r = 0 where it says -0.4", _paper_alive, _starts_dead),
    ]
}


def get_recipe(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        UnknownNameError: no such recipe; names the nearest.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
