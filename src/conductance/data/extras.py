"""Packages that only training needs, imported when first used."""

from importlib import import_module
from types import ModuleType

from conductance.errors import DataError


def import_extra(module: str, purpose: str) -> ModuleType:
    """Import `module`, or say what it is needed for and how to get it.

    Raises:
        DataError: the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = "scikit-learn" if module.startswith("sklearn") else module.partition(".")[0]
        raise DataError(
            f"{package} is needed {purpose} and is not installed: pip install 'conductance[train]'"
        ) from error
