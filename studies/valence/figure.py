"""The figure of valences: differences to half excitatory, half inhibitory units, a panel for each network and data."""

from collections.abc import Sequence

from studies.shared.intervals import intervals_figure
from studies.shared.lines import Line


def valence_figure(found: Sequence[Line], reference: str) -> str:
    """A page of SVG."""
    return intervals_figure(found, reference)
