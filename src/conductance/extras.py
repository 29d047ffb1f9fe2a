"""Packages that only an extra brings, imported when first used."""

from importlib import import_module
from types import ModuleType

from conductance.errors import ConductanceError

_PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""Packages that are installed under another name than they are imported."""


def import_extra(module: str, purpose: str, extra: str) -> ModuleType:
    """Import ``module``, or say what it is needed for and which extra of this package brings it.

    Raises:
        ConductanceError: the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        imported = (error.name or module).partition(".")[0]  # it may be a package that ``module`` needs
        package = _PACKAGES.get(imported, imported)
        raise ConductanceError(
            f"{package} is needed {purpose} and is not installed: pip install 'conductance[{extra}]'"
        ) from error
