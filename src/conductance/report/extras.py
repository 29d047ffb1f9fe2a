"""The packages only a report needs, asked for at the moment they are needed."""

from importlib import import_module

from conductance.errors import RunError


def require(*packages: str) -> None:
    """Import each package, or say in one line how to install the missing one."""
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise RunError(
                f"a report needs {package}, which is not installed; install it with: pip install 'conductance[report]'"
            ) from error
