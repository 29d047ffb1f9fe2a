"""What presets, runs and the folders of runs are called."""

from conductance.errors import InputError
from conductance.printable import is_printable, printable

LONGEST = 200
"""Bytes of the longest name; a folder that is named after it has a few more, and file systems take 255."""


def check_name(what: str, name: str) -> None:
    """Check a name that tables, pages and folders will show.

    Raises:
        InputError: it holds characters that cannot be seen or are not UTF-8, or is too long.
    """
    if not is_printable(name):
        raise InputError(
            f"{what}={printable(name)[:80]}: holds characters that cannot be shown (control characters, or bytes that "
            "are not UTF-8); choose another name"
        )
    if len(name.encode()) > LONGEST:
        raise InputError(f"{what}={name[:40]}...: has {len(name.encode())} bytes; choose a name of {LONGEST} at most")


def preset_name(dataset: str, architecture: str, family: str) -> str:
    """The name of a preset, of its runs, and of a cell of the paper's tables.

    >>> preset_name("fashion_mnist", "cnn", "cwa")
    'fashion-mnist-cnn-cwa'
    """
    return f"{dataset.replace('_', '-')}-{architecture}-{family}"


def run_folder_name(name: str, seed: int) -> str:
    """The default name of a run's folder.

    >>> run_folder_name("mnist-cnn-cwa", 0)
    'mnist-cnn-cwa-seed0'
    """
    return f"{name}-seed{seed}"
