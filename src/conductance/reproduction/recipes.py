"""Recipes: how a cell of the paper's tables is trained, by this package's presets or as the paper says.

What the paper leaves open, and what was chosen: docs/reproduction.md.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conductance.errors import UnknownNameError
from conductance.presets.named import get_preset
from conductance.reproduction.paper import Cell
from conductance.runs.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    ProtocolConfig,
    RunConfig,
    config_from_dict,
)
from conductance.runs.differences import HARDWARE_FIELDS, differing_fields
from conductance.runs.earlier import PROJECTED
from conductance.runs.schema import Record

PAPER_EPOCHS = 500
"""An upper bound. The paper gives no number of epochs: it trains until the training set is fitted."""

# Steps (section 4.3): 1e-5 for CWA, 1e-3 for affine networks. Ours is a share of a layer's mean synapse: of 1 for
# conductances around 1; of 0.01 to 0.05 for Glorot weights (0.09 in 1x1 kernels), so that a share of 0.04 is about
# 1e-3.
CWA_STEP, AFFINE_STEP = 1e-5, 1e-3
SHARE_OF_A_WEIGHT = 40.0
FCN_RESTING_POTENTIAL = -0.4

FORMER_NAMES = {"modern": "presets"}
"""What 0.1 called a recipe, and its folder."""

OF_0_1 = "presets of 0.1"
"""The presets as version 0.1 trained them. Its recorded configs say ``nonnegative=projected``."""

EARLY = "early presets"
"""The presets before a run could choose its optimizer: Adam's steps were not yet shares of a layer's mean."""

_NOT_PART_OF_A_RECIPE = HARDWARE_FIELDS | {"name", "seed", "epochs"}


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

    def folder(self, out: Path) -> Path:
        """Where its runs are below ``out``: in a folder of its name, or of its former name if only that exists."""
        former = [out / old for old, new in FORMER_NAMES.items() if new == self.name]
        return next((folder for folder in [out / self.name, *former] if folder.is_dir()), out / self.name)


def _presets(cell: Cell) -> RunConfig:
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
        Recipe("presets", "this package's presets", _presets),
        Recipe("paper", "section 4.3, to the letter", _paper),
        Recipe("paper-alive", "the same with e_r = 0 where it says -0.4", _paper_alive, _starts_dead),
    ]
}


def get_recipe(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        UnknownNameError: no such recipe; names the nearest.
    """
    if name in FORMER_NAMES:
        current = FORMER_NAMES[name]
        warnings.warn(
            f"the recipe {name!r} is now called {current!r}; the old name goes in 0.3", DeprecationWarning, stacklevel=2
        )
        name = current
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


def recipe_of(settings: Record, cell: Cell) -> tuple[str, int]:
    """The recipe by which a run of ``cell`` with these settings was made, as text, and that recipe's number of epochs.

    It is the recipe's name where the settings are the recipe's except for name, seed, epochs and precision. Otherwise
    it is ``presets`` and every field that differs. Presets that were trained earlier are called `OF_0_1` or `EARLY`.
    """
    config = config_from_dict(settings).to_dict()
    for recipe in (RECIPES["paper"], RECIPES["paper-alive"]):
        if recipe.serves(cell) and not _differences(recipe.config(cell).to_dict(), config):
            return recipe.name, recipe.config(cell).epochs
    preset = get_preset(cell.name)
    return "; ".join([_presets_of(settings), *_differences(preset.to_dict(), config)]), preset.epochs


def _presets_of(settings: Record) -> str:
    if "name" not in settings["optimizer"]:
        return EARLY
    return OF_0_1 if settings["conductance"].get("nonnegative") == PROJECTED else "presets"


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Each field of a recipe in which ``here`` differs from ``there``, as ``field=value``."""
    different = differing_fields(there, here).items()
    return [f"{name}={new}" for name, (_, new) in different if name not in _NOT_PART_OF_A_RECIPE]
