"""Saving a network in a folder: weights, one description in plain values, a page about it."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from conductance.checked import checked
from conductance.data import Preprocessing
from conductance.errors import InputError, UnknownNameError
from conductance.files import write_json, write_text
from conductance.nn import ConductanceLayer, LateralConv2d, LateralLinear, SignedLayer
from conductance.printable import check_name
from conductance.share import weights
from conductance.share.card import card
from conductance.share.classifier import ImageClassifier
from conductance.share.description import CARD_FILE, FILE, PICTURE_FILE, WEIGHTS_FILE, Description
from conductance.share.folders import check_place, write_folder
from conductance.share.kinds import NotPlainError
from conductance.share.structure import build, class_name, converted_parts, tree_of, unwrapped
from conductance.tensor_files import write_tensors
from conductance.transform.build import returns_copies

StoredType = Literal["float32", "float16", "bfloat16"]

STORED: dict[str | None, torch.dtype | None] = {
    None: None,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@checked
def save(
    model: nn.Module,
    folder: str | Path,
    *,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    accuracy: Mapping[str, Any] | None = None,
    command: str | None = None,
    origin: Mapping[str, Any] | None = None,
    dtype: StoredType | None = None,
    name: str | None = None,
    picture: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Save a network in a folder that `load` reads without running any code of it.

    The folder holds ``model.safetensors``, ``conductance.json`` and a page about the network, ``README.md``. It appears
    whole or not at all.

    Networks of this package, circuits, recurrent layers, and ``nn.Sequential`` of their layers and of torch's are
    said as a whole; `load` makes them anew. A network of another class is made by the code of that class: of it the
    layers are said that `convert` has put there, and ``load(folder, into=network)`` puts them into a network that this
    code has made, as it was before it was converted.

    Args:
        model: any module. What `torch.compile` or ``DistributedDataParallel`` returned is saved as what it was made of.
        folder: where to.
        preprocessing: what makes the network's input of pixels. `load` then returns an `ImageClassifier`, which takes
            images in [0, 1]; one is saved with the preprocessing and the classes that it has.
        classes: the name of each class.
        input_shape: (channels, height, width) of the images.
        accuracy: what was measured, such as ``{"test_accuracy": 99.5, "dataset": "mnist"}``; in %.
        command: what trains such a network.
        origin: whatever else is known about where it is from, as plain values.
        dtype: the type in which the file holds floating-point numbers; as they are if not given. The network that
            `load` returns computes in the type of this one.
        name: of the network on its page; the folder's if not given.
        picture: for its page, an SVG.
        overwrite: whether a network saved there before may be replaced.

    Returns:
        The folder.

    Raises:
        InputError: weights that are infinite or NaN; layers that are pruned or parametrized in a network that is said
            as a whole; a folder that holds other files, or a saved network.
        ConductanceError: the folder cannot be written.
    """
    folder = Path(folder)
    check_place(folder, overwrite=overwrite)
    if dtype not in STORED:
        raise UnknownNameError("dtype", dtype, filter(None, STORED))
    network = unwrapped(model)
    if isinstance(network, ImageClassifier):
        preprocessing = network.preprocessing if preprocessing is None else preprocessing
        classes = network.classes if classes is None else classes
        input_shape = network.input_shape if input_shape is None else input_shape
        network = network.network
    description, state = describe(network)
    state = weights.rounded(state, STORED[dtype])
    description.preprocessing = None if preprocessing is None else _plain_preprocessing(preprocessing)
    description.classes = None if classes is None else [str(name) for name in classes]
    for named in description.classes or ():
        check_name("classes", named)
    description.input_shape = None if input_shape is None else [int(size) for size in input_shape]
    description.accuracy = None if accuracy is None else dict(accuracy)
    description.command, description.origin = command, None if origin is None else dict(origin)
    try:
        values = description.to_dict()
    except (TypeError, ValueError) as error:
        raise InputError(f"accuracy and origin must hold plain values, for JSON: {error}") from None

    def write(inside: Path) -> None:
        write_tensors(inside / WEIGHTS_FILE, state)
        write_json(inside / FILE, values)
        write_text(inside / CARD_FILE, card(description, network, name or folder.name, picture is not None))
        if picture is not None:
            write_text(inside / PICTURE_FILE, picture)

    write_folder(folder, write, overwrite=overwrite)
    return folder


def describe(network: nn.Module) -> tuple[Description, weights.State]:
    """What a file says of a network, and its numbers.

    Raises:
        InputError: see `save`.
    """
    state, same = weights.state_of(network)
    try:
        modules, whole = {"": tree_of(network)}, True
    except NotPlainError:
        modules, whole = converted_parts(network), False
    _check_made_of(network, modules)
    _warn_of_hooks(network, modules)
    return (
        Description(
            type(network).__name__ if whole else class_name(network),
            whole,
            modules,
            families=_families(network),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            same=same,
            frozen=[name for name, parameter in network.named_parameters() if not parameter.requires_grad],
            not_in_place=[] if whole else _not_in_place(network),
        ),
        state,
    )


def _check_made_of(network: nn.Module, modules: Mapping[str, Any]) -> None:
    """Make the modules again and compare, so that no folder is written that cannot be loaded."""
    for name, made in build(dict(modules)).items():
        original = network.get_submodule(name)
        here, there = original.state_dict(), made.state_dict()
        different = weights.difference(here, there)
        if different is not None:
            raise InputError(
                f"{name or type(network).__name__} was changed in a way that no file says ({different}); make pruning "
                "permanent (torch.nn.utils.prune.remove), remove parametrizations, and save it then"
            )


def _warn_of_hooks(network: nn.Module, modules: Mapping[str, Any]) -> None:
    for part in modules:
        for name, module in network.get_submodule(part).named_modules(prefix=part):
            own = 1 if returns_copies(module) else 0
            if len(module._forward_hooks) + len(module._forward_pre_hooks) > own:
                warnings.warn(
                    f"{name or 'the network'} has a forward hook, which is code and is not saved", stacklevel=4
                )


def _families(network: nn.Module) -> list[str]:
    found = set()
    for module in network.modules():
        if isinstance(module, (LateralLinear, LateralConv2d)):
            found.add("cwa_li")
        elif isinstance(module, ConductanceLayer):
            found.add("cwa")
        elif isinstance(module, SignedLayer):
            found.add("absnorm")
        elif isinstance(module, _AFFINE):
            found.add("affine")
    return sorted(found)


def _not_in_place(network: nn.Module) -> list[str]:
    """Modules that could write into their input and do not: for a conversion has forbidden it, or nobody wanted it."""
    return [name for name, module in network.named_modules() if getattr(module, "inplace", None) is False]


def _plain_preprocessing(preprocessing: Preprocessing) -> dict[str, Any]:
    scale, shift = (values.flatten().tolist() for values in (preprocessing.scale, preprocessing.shift))
    return {"kind": preprocessing.kind, "scale": scale, "shift": shift}
