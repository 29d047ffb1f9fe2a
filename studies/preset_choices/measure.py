"""Why are the presets as they are? Each of their choices changed alone, on the digits.

Networks are judged on 300 training digits that are held out, five seeds each; no test image is seen.
"""

from collections.abc import Sequence

from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.shared import changes, comparison
from studies.shared.folder import folder_of

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

WORDS = {
    "none": "unchanged",
    "step 0.01": "step 0.01, not 0.1",
    "step 0.03": "step 0.03, not 0.1",
    "step 0.3": "step 0.3, not 0.1",
    "readout step 0.001": "step 0.001 of the readout, not 0.003",
    "h rectified": "G = max(1 + g, 0), the paper's form",
    "h exp": "G = exp(g)",
    "sigma 0.5": "start with less spread (log-normal, sigma 0.5)",
    "exponential": "start with exponentially distributed conductances",
    "Glorot around 1": "the paper's start (Glorot around 1)",
    "no twins": "start without twins",
    "no balance": "start without balance",
    "leak learnt": "leaks learned",
}


def cases() -> list[comparison.Case]:
    """Every change to conductance networks, then both affine baselines."""
    changed = [(architecture, "cwa", change) for architecture in ARCHITECTURES for change in CHANGES]
    return changed + [(architecture, family, "none") for architecture in ARCHITECTURES for family in BASELINES]


def config_of(case: comparison.Case, seed: int) -> RunConfig:
    """The preset with one change and validation images."""
    architecture, family, change = case
    config = CHANGES[change](get_preset(f"digits-{architecture}-{family}"))
    return comparison.judged(config, change, seed, VALIDATION_IMAGES)


PRESET_CHOICES = comparison.Comparison(cases(), config_of, folder_of(__file__), words=WORDS)


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Measure what is missing, and write the table."""
    return comparison.command_line(PRESET_CHOICES, __doc__, arguments, seeds=SEEDS)
