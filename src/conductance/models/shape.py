"""The sizes that every architecture is given."""

from collections.abc import Sequence

from conductance.checked import require_counts
from conductance.errors import InputError


def check_shape(input_shape: Sequence[int], num_classes: int, widths: Sequence[int] | None) -> None:
    """Insist on images, classes and layers.

    Raises:
        InputError: a size below 1, or no width.
    """
    if min(input_shape) < 1:
        raise InputError(f"input_shape={tuple(input_shape)}: (channels, height, width) must each be 1 or more")
    require_counts(num_classes=num_classes)
    if widths is not None and not (len(widths) and min(widths) >= 1):
        raise InputError(f"widths={tuple(widths)}: give one number or more, each at least 1")
