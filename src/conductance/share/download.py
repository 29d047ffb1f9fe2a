"""Saved networks from the Hugging Face Hub."""

from pathlib import Path
from typing import Any

from conductance.errors import SavedNetworkError, one_line
from conductance.extras import import_extra
from conductance.share.description import FILES


def download(repository: str, revision: str | None = None, **options: Any) -> Path:
    """The folder with a repository's files: from the cache on this machine, or downloaded to it.

    Args:
        repository: "owner/name".
        revision: branch, tag or commit.
        options: further ones of ``huggingface_hub.snapshot_download``.

    Raises:
        SavedNetworkError: there is no such folder, nor such a repository; or the Hub cannot be reached.
    """
    hub = import_extra("huggingface_hub", "to load from the Hugging Face Hub", "hub")
    try:
        folder = hub.snapshot_download(repository, revision=revision, allow_patterns=list(FILES), **options)
    except Exception as error:  # of the network, of the Hub, of the names
        raise SavedNetworkError(
            f"{repository} is no folder here, and the Hub does not give it ({one_line(error)}); look for a slip in the "
            "name, or log in (hf auth login) if it is private"
        ) from None
    return Path(folder)
