"""Does it cost anything that conductances are clamped where they are read, and that a start needs no data?

The presets for CIFAR-10 for 4 epochs, judged on 5,000 held-out training images; no test image is seen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.shared import changes, comparison
from studies.shared.folder import folder_of

VALIDATION_IMAGES = 5_000
EPOCHS = 4
KEPT = "closed synapses kept at 0"
READ_ALONE = "clamped on read alone"
FORMS: dict[str, changes.Change] = {
    KEPT: changes.unchanged,
    READ_ALONE: changes.unchanged,
    "read alone, start without data": changes.conductance(initialization="default"),
}
WORDS = {
    KEPT: "the preset: its optimizer keeps closed synapses at 0",
    READ_ALONE: "clamped where read, no limit in the optimizer",
    "read alone, start without data": "the same, and the layers' own start instead of one balanced on a batch",
}


def config_of(case: comparison.Case, seed: int) -> RunConfig:
    """The preset with few epochs and validation images."""
    architecture, family, form = case
    config = FORMS[form](get_preset(f"cifar10-{architecture}-{family}"))
    return comparison.judged(replace(config, epochs=EPOCHS), form, seed, VALIDATION_IMAGES)


@contextmanager
def limit_of(case: comparison.Case) -> Iterator[None]:
    """Let the package's optimizer move parameters below 0, as any other optimizer does; but not for the presets."""

    def lift(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            if "least" in group:
                group["least"] = None

    if case[2] == KEPT:
        yield
        return
    handle = register_optimizer_step_pre_hook(lift)
    try:
        yield
    finally:
        handle.remove()


FORMS_OF_G = comparison.Comparison(
    [(architecture, "cwa", form) for architecture in ("cnn", "fcn") for form in FORMS],
    config_of,
    folder_of(__file__),
    unchanged=KEPT,
    words=WORDS,
    within=limit_of,
)


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Measure what is missing, and write the table."""
    return comparison.command_line(FORMS_OF_G, __doc__, arguments)
