"""Loading a network from a folder, without running any code that is there."""

from pathlib import Path

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.data import Preprocessing
from conductance.errors import InputError, SavedNetworkError, one_line
from conductance.finite import not_finite
from conductance.share import weights
from conductance.share.classifier import ImageClassifier
from conductance.share.description import FILE, WEIGHTS_FILE, Description, damaged, is_newer, newer, read_description
from conductance.share.places import find
from conductance.share.structure import UnknownKindError, build, unwrapped
from conductance.transform.build import replace


@checked
def load(
    source: str | Path,
    *,
    into: nn.Module | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
) -> nn.Module:
    """Load a network that `save` has written; in evaluation mode.

    >>> network = conductance.load("digits-cnn")  # doctest: +SKIP
    >>> network(images)  # (N, 1, 8, 8) in [0, 1]  # doctest: +SKIP

    Nothing in the folder is run: the file of weights holds numbers alone, and the description names classes of a fixed
    table of this package and of torch.

    Args:
        source: a folder; or a name of `share.names`, a network that comes with this package; or the name of a
            repository on the Hugging Face Hub, "owner/name" (extra ``hub``).
        into: the network to load into where its class is code of others: as this code makes it, or converted already.
            It is changed in place, but only if everything fits.
        device: where the network shall be; as ``into`` is, or on the CPU.
        revision: branch, tag or commit of a repository on the Hub.

    Returns:
        The network; an `ImageClassifier` around it if it was saved with its preprocessing.

    Raises:
        SavedNetworkError: no such folder or repository; a file that is missing, damaged or of a newer version; weights
            that are infinite, NaN or of another architecture; ``into`` is missing.
        InputError: ``into`` is on the meta device.
    """
    folder = find(source, revision)
    description = read_description(folder)
    state = _with_aliases(weights.read(folder / WEIGHTS_FILE), description, folder)
    if into is None:
        network = _made(description, state, folder)
    else:
        network = unwrapped(into)
        network = network.network if isinstance(network, ImageClassifier) else network
        _fill(network, description, state, folder)
    if description.preprocessing is not None:
        network = _classifier(network, description, folder)
    return (network if device is None else network.to(device)).eval()


def _made(description: Description, state: weights.State, folder: Path) -> nn.Module:
    """The network itself, of a description that says all of it."""
    if not description.whole or list(description.modules) != [""]:
        raise SavedNetworkError(
            f"{folder} holds a {description.network}, which code of its own makes and no file says; make it, as it was "
            "before it was converted, and give it as load(..., into=network)"
        )
    network = _built(description, folder)[""]
    _require_fit(weights.difference(state, network.state_dict()), folder, description)
    network = network.to_empty(device="cpu")
    _set(network, state, description, folder)
    for name, first in description.same.items():
        _tie(network, name, first)
    return network


def _fill(network: nn.Module, description: Description, state: weights.State, folder: Path) -> None:
    """Put the described layers into a network, and load it; or leave it as it is."""
    if any(parameter.is_meta for parameter in network.parameters()):
        raise InputError("the network given as into is on the meta device and takes no values; make it on the CPU")
    made = {} if description.whole else _built(description, folder)
    modules = dict(network.named_modules(remove_duplicate=False))
    absent = [name for name in made if name not in modules]
    if absent:
        _require_fit(f"the network has no module {absent[0]}{weights.more(absent)}", folder, description, network)
    here = {
        name: value
        for name, value in network.state_dict().items()
        if not any(name.startswith(f"{part}.") for part in made)
    }
    for name, module in made.items():
        here |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    _require_fit(weights.difference(state, here), folder, description, network)
    for name, module in made.items():
        replace(network, modules[name], module.to_empty(device=_device_of(network)))
    for name in description.not_in_place:
        if getattr(modules.get(name), "inplace", False):
            modules[name].inplace = False
    _set(network, state, description, folder)


def _built(description: Description, folder: Path) -> dict[str, nn.Module]:
    try:
        return build(description.modules)
    except Exception as error:  # whatever wrong values bring
        if is_newer(description.version):
            raise newer(folder / FILE, description.version) from None
        if isinstance(error, UnknownKindError):
            raise damaged(folder / FILE, f"there is no kind of module {error}") from None
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise damaged(folder / FILE, f"no network can be made of it: {reason:.200}") from None


def _set(network: nn.Module, state: weights.State, description: Description, folder: Path) -> None:
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SavedNetworkError(f"{folder / WEIGHTS_FILE} cannot be loaded: {one_line(error)}") from None
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(name not in description.frozen)


def _require_fit(
    different: str | None, folder: Path, description: Description, network: nn.Module | None = None
) -> None:
    if different is None:
        return
    if network is None:
        raise SavedNetworkError(f"{folder / WEIGHTS_FILE} does not fit {folder / FILE}: {different}; save it again")
    remedy = "leave out into" if description.whole else "make the network with the options that it was saved with"
    raise SavedNetworkError(
        f"{folder} holds a {description.network}, and the {type(network).__name__} given as into is another network: "
        f"{different}; {remedy}"
    )


def _with_aliases(state: weights.State, description: Description, folder: Path) -> weights.State:
    for name, first in description.same.items():
        if first not in state:
            raise damaged(folder / FILE, f"{name} is said to be {first}, which {WEIGHTS_FILE} does not hold")
        state[name] = state[first]
    return state


def _tie(network: nn.Module, name: str, first: str) -> None:
    """Make two names of one parameter one parameter."""
    holder, _, last = name.rpartition(".")
    parameters = network.get_submodule(holder)._parameters
    if parameters.get(last) is not None:
        parameters[last] = network.get_parameter(first)


def _classifier(network: nn.Module, description: Description, folder: Path) -> ImageClassifier:
    said = description.preprocessing or {}
    try:
        scale, shift = (torch.tensor(said[name], dtype=torch.float32, device="cpu") for name in ("scale", "shift"))
        preprocessing = Preprocessing(said["kind"], len(scale))
        preprocessing.load_state_dict({"scale": scale.view(-1, 1, 1), "shift": shift.view(-1, 1, 1)})
        shape = description.input_shape
        input_shape = None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2]))
    except Exception as error:  # whatever wrong values bring
        raise damaged(folder / FILE, f"its preprocessing cannot be used: {one_line(error):.200}") from None
    if not_finite(preprocessing.state_dict()):
        raise damaged(folder / FILE, "its preprocessing is not finite")
    return ImageClassifier(network, preprocessing.to(_device_of(network)), description.classes, input_shape)


def _device_of(network: nn.Module) -> torch.device:
    first: Tensor | None = next(iter(network.parameters()), None)
    return torch.device("cpu") if first is None else first.device
