"""Networks on the Hugging Face Hub, by the mixin of its own library. Needs the extra ``hub``."""

from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from conductance.errors import InputError, one_line
from conductance.extras import import_extra
from conductance.share.description import FILES
from conductance.share.download import download
from conductance.share.loading import load
from conductance.share.saving import save

import_extra("huggingface_hub", "to share networks on the Hugging Face Hub", "hub")

from huggingface_hub import ModelHubMixin  # noqa: E402  (only when it is known to be there)

Network = TypeVar("Network", bound="HubMixin")


class HubMixin(ModelHubMixin, library_name="conductance", tags=["conductance"]):
    """Gives a network of your own class ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

    ::

        class Net(nn.Module, HubMixin):
            def __init__(self, units: int = 100): ...

        net.push_to_hub("owner/name")
        net = Net.from_pretrained("owner/name")  # made with the arguments that it was made with, then loaded

    Files are as `save` writes them. A ``config.json`` with the arguments of ``__init__`` stands beside them, so far as
    JSON holds them. (`push_to_hub` shares any network, without this class.)
    """

    def _save_pretrained(self, save_directory: Path) -> None:
        if not isinstance(self, nn.Module):
            raise InputError("HubMixin is for classes that are nn.Module too")
        save(self, save_directory, overwrite=True)

    @classmethod
    def _from_pretrained(
        cls: type[Network],
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **options: Any,
    ) -> Network:
        folder = Path(model_id)
        if not folder.is_dir():
            folder = download(
                model_id,
                revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        network = cls(**options)
        assert isinstance(network, nn.Module)
        load(folder, into=network)
        return network


class _Saved(ModelHubMixin):
    """A network that is about to be pushed, whatever its class."""

    def __init__(self, network: nn.Module, repository: str, options: dict[str, Any]) -> None:
        self.network, self.repository, self.options = network, repository, options

    def _save_pretrained(self, save_directory: Path) -> None:
        save(self.network, save_directory, **{"name": self.repository, **self.options})


def push_to_hub(
    model: nn.Module,
    repository: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    message: str = "A network of conductances",
    **options: Any,
) -> str:
    """Save a network and upload it to a repository, which is made if there is none; ``load(repository)`` gets it back.

    Args:
        model: any module, see `save`.
        repository: "owner/name".
        private: whether a new repository is.
        token: of the Hub; by default the one of ``hf auth login``.
        branch: to which it is committed; the main one if not given.
        message: of the commit.
        **options: of `save`, such as ``classes`` and ``accuracy``.

    Returns:
        The address of the commit.

    Raises:
        InputError: see `save`; or the Hub refuses.
    """
    saved = _Saved(model, repository, options)
    try:
        commit = saved.push_to_hub(
            repository, private=private, token=token, branch=branch, commit_message=message, allow_patterns=list(FILES)
        )
    except (OSError, ValueError) as error:  # of the network, of the Hub, of the names
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the Hub does not take {repository} ({one_line(error)}); look at the name, or log in: hf auth login"
        ) from None
    return str(commit)
