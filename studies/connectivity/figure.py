"""The figure of connectivity: differences within each part of the study."""

from collections.abc import Sequence

from studies.shared.intervals import intervals_figure
from studies.shared.lines import Line


def connectivity_figure(found: Sequence[Line]) -> str:
    """A page of SVG; circuits are compared with the dense one, fan-ins with the largest."""
    return intervals_figure(found, "the dense circuit, or the largest fan-in or kernel")
