"""Why the presets are as they are: each of their choices changed alone, judged by validation accuracy on the digits."""

import sys
from pathlib import Path

from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.shared import changes, study

VALIDATION_IMAGES = 300
ARCHITECTURES = ("fcn", "cnn")
BASELINES = ("affine", "affine_bn")
SEEDS = 5

CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    "step 0.01": changes.optimizer(learning_rate=0.01),
    "step 0.03": changes.optimizer(learning_rate=0.03),
    "step 0.3": changes.optimizer(learning_rate=0.3),
    "readout step 0.001": changes.optimizer(readout_learning_rate=0.001),
    "no label smoothing": changes.optimizer(label_smoothing=0.0),
    "h rectified": changes.conductance(nonnegative="rectified"),
    "h exp": changes.conductance(nonnegative="exp"),
    "sigma 0.5": changes.conductance(sigma=0.5),
    "exponential": changes.conductance(initialization="exponential"),
    "Glorot around 1": changes.conductance(initialization="glorot"),
    "no twins": changes.conductance(twin=False),
    "no balance": changes.conductance(balance=False),
    "leak learnt": changes.conductance(learn_resting=True),
}


def cases() -> list[study.Case]:
    """Every change to conductance networks, then both affine baselines."""
    changed = [(architecture, "cwa", change) for architecture in ARCHITECTURES for change in CHANGES]
    return changed + [(architecture, family, "none") for architecture in ARCHITECTURES for family in BASELINES]


def config_of(case: study.Case, seed: int) -> RunConfig:
    """The preset with one change and validation images."""
    architecture, family, change = case
    config = CHANGES[change](get_preset(f"digits-{architecture}-{family}"))
    return study.judged(config, change, seed, VALIDATION_IMAGES)


RECIPE = study.Study(cases(), config_of, Path("runs/recipe"), Path("results/recipe.csv"), "make recipe")


if __name__ == "__main__":
    missing = study.command_line(RECIPE, __doc__, seeds=SEEDS)
    write_text(RECIPE.table.with_suffix(".md"), study.markdown_means(RECIPE.rows()))
    sys.exit(missing)
