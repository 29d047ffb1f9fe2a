"""The errors a person can cause: each names the thing, the place and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 12
"""How many names are listed beside a good guess."""


class ConductanceError(Exception):
    """Something a person can mend. The command line prints its message and exits with status 2."""

    silent: bool | None = None
    """Of several processes that train together, whether this one leaves it to another to print the message; None: the
    first one prints it."""


class InputError(ConductanceError, ValueError):
    """A value handed in is outside what its meaning allows."""


class UnknownNameError(ConductanceError, LookupError):
    """A name that no preset, family, architecture or data set has.

    >>> str(UnknownNameError("data set", "mnits", ["mnist", "digits"]))
    "unknown data set 'mnits'; did you mean 'mnist'? Known: digits, mnist"
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        known = sorted(known)
        nearest = get_close_matches(str(name), known, n=3, cutoff=0.5)
        guess = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else "."
        listed = "" if nearest and len(known) > FEW else f" Known: {', '.join(known)}"
        super().__init__(f"unknown {kind} {name!r}{guess}{listed}")


class DataError(ConductanceError):
    """A data set is missing, truncated or altered."""


class RunError(ConductanceError):
    """A run folder or checkpoint cannot be used as asked."""


class SavedNetworkError(ConductanceError):
    """A folder holds no saved network, or one that is damaged, of a newer version, or of another architecture."""


def one_line(error: BaseException) -> str:
    """The message of an error of others on one line; the name of its kind if there is none."""
    return " ".join(str(error).split()) or type(error).__name__
