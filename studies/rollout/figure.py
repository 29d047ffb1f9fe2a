"""The figure of rollouts: differences to one slice, and to no interneurons."""

from collections.abc import Sequence

from studies.shared.intervals import intervals_figure
from studies.shared.lines import Line


def rollout_figure(found: Sequence[Line]) -> str:
    """A page of SVG."""
    return intervals_figure(found, "one slice, or no interneurons")
