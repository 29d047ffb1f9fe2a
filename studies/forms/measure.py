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
READ_ALONE = "clamped on read alone"
FORMS: dict[str, changes.Change] = {
    "closed synapses kept at 0": changes.unchanged,
    READ_ALONE: changes.unchanged,
    "read alone, start without data": changes.conductance(initialization="default"),
}
WORDS = {
    "closed synapses kept at 0": "the preset: its optimizer keeps closed synapses at 0",
    READ_ALONE: "clamped where read, no limit in the optimizer",
    "read alone, start without data": "the same, and the layers' own start instead of one balanced on a batch",
}


def config_of(case: comparison.Case, seed: int) -> RunConfig:
    """The preset with few epochs and validation images."""
    architecture, family, form = case
    config = FORMS[form](get_preset(f"cifar10-{architecture}-{family}"))
    return comparison.judged(replace(config, epochs=EPOCHS), form, seed, VALIDATION_IMAGES)


@contextmanager
def no_limit() -> Iterator[None]:
    """Let the package's optimizer move parameters below 0, as any other optimizer does."""

    def lift(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            if "least" in group:
                group["least"] = None

    handle = register_optimizer_step_pre_hook(lift)
    try:
        yield
    finally:
        handle.remove()


class FormsComparison(comparison.Comparison):
    """Runs of which some have an optimizer without its limit at 0."""

    def _train(self, case: comparison.Case, seed: int, console: Any) -> None:
        if case[2].startswith(("clamped on read", "read alone")):
            with no_limit():
                super()._train(case, seed, console)
        else:
            super()._train(case, seed, console)


COMPARISON = FormsComparison(
    [(architecture, "cwa", form) for architecture in ("cnn", "fcn") for form in FORMS],
    config_of,
    folder_of(__file__),
    unchanged="closed synapses kept at 0",
    words=WORDS,
)


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Measure what is missing, and write the table."""
    return comparison.command_line(COMPARISON, __doc__, arguments)
