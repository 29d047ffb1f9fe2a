"""The figure of pooled interneurons in circuits: differences to a circuit without any."""

from collections.abc import Sequence

from studies.shared.intervals import intervals_figure
from studies.shared.lines import Line


def pooled_circuits_figure(found: Sequence[Line], reference: str) -> str:
    """A page of SVG."""
    return intervals_figure(found, f"the circuit with {reference}")
