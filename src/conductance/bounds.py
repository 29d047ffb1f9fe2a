"""Work that would not end, refused before it begins with the time it would take."""

from conductance.errors import InputError

LEAST_SECONDS = 1e-3
"""What a step of anything takes at least."""


def require_within(name: str, value: float, most: float, *, work: float | None = None) -> None:
    """Insist on a number that leads to an end.

    Args:
        name: of the option.
        value: its value.
        most: the largest that is accepted.
        work: how many steps the value stands for at least, each `LEAST_SECONDS` long; None where it is no work.

    Raises:
        InputError: it is above ``most``.
    """
    if value <= most:
        return
    lasts = "" if work is None else f", and this takes {in_years(work * LEAST_SECONDS)} at a millisecond a step"
    raise InputError(f"{name}={_short(value)}: must be at most {most:,}{lasts}")


def in_years(seconds: float) -> str:
    """A long time for people.

    >>> in_years(1e9)
    '31.7 years'
    """
    for unit, size in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and value < 10**15 else f"{float(value):.3g}"
