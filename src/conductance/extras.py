"""Packages that only an extra brings, imported when first used."""

from importlib import import_module
from types import ModuleType

from conductance.errors import ConductanceError


def import_extra(module: str, purpose: str, extra: str) -> ModuleType:
    """Import ``module``, or say what it is needed for and which extra of this package brings it.

    Raises:
        ConductanceError: the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = "scikit-learn" if module.startswith("sklearn") else module.partition(".")[0]
        raise ConductanceError(
            f"{package} is needed {purpose} and is not installed: pip install 'conductance[{extra}]'"
        ) from error
