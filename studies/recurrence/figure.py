"""The figure of recurrent layers: differences to the GRU, a panel for each task."""

from collections.abc import Sequence

from studies.shared.intervals import intervals_figure
from studies.shared.lines import Line


def recurrence_figure(found: Sequence[Line], reference: str) -> str:
    """A page of SVG."""
    return intervals_figure(found, reference)
