"""Where a saved network is: in a folder, in this package, or on the Hub."""

import re
from difflib import get_close_matches
from pathlib import Path

from conductance.checked import checked
from conductance.errors import SavedNetworkError, UnknownNameError
from conductance.runs import RunFolder
from conductance.share.description import FILE, Description, read_description

HERE = Path(__file__).parent / "networks"

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@checked
def names() -> list[str]:
    """The names of the trained networks that come with this package, for `load`."""
    return sorted(folder.name for folder in HERE.iterdir() if (folder / FILE).is_file())


def is_saved(source: Path) -> bool:
    """Whether a path, as it was typed, is the folder of a saved network or the name of one of this package."""
    return (source / FILE).exists() or (not source.exists() and str(source) in names())


def require_place(source: Path) -> None:
    """Refuse a path, as it was typed, that is neither a run, a saved network nor the name of one of this package.

    Raises:
        SavedNetworkError: the path is none of these.
    """
    if source.is_dir() and not (source / FILE).exists() and not RunFolder(source).config_file.exists():
        raise SavedNetworkError(
            f"{source} holds neither a run (config.json) nor a saved network ({FILE}); give the folder of one"
        )
    if not source.exists() and str(source) not in names():
        close = get_close_matches(str(source), names(), n=1)
        raise SavedNetworkError(
            f"there is no folder {source}, and no network of this package has that name"
            + (f"; did you mean {close[0]}?" if close else f" ({', '.join(names())}); give the folder of a run")
        )


@checked
def about(source: str | Path, *, revision: str | None = None) -> Description:
    """What is known about a saved network: classes, accuracy, the command that trains such a one, and more.

    Args:
        source: as for `load`.
        revision: as for `load`.

    Raises:
        SavedNetworkError: no such network, or a description that is damaged or of a newer version.
    """
    return read_description(find(source, revision))


def find(source: str | Path, revision: str | None = None) -> Path:
    """The folder of a saved network; one on the Hub is downloaded.

    Raises:
        SavedNetworkError: there is none, or the word stands for two.
        UnknownNameError: no network of this package has this name.
    """
    folder = Path(source).expanduser()
    if isinstance(source, str) and source in names():
        if (folder / FILE).exists():
            raise SavedNetworkError(
                f"{source!r} is a network of this package, and a folder here too; for the folder write './{source}'"
            )
        return HERE / source
    if folder.exists():
        return folder
    if isinstance(source, str) and _REPOSITORY.fullmatch(source) and not source.startswith("."):
        from conductance.share.download import download

        return download(source, revision)
    if isinstance(source, str) and re.fullmatch(r"[\w-]+", source):
        raise UnknownNameError("saved network", source, names())
    raise SavedNetworkError(f"there is no folder {source}; give a folder that conductance.save has written")
