"""The numbers of a network as safetensors: each once, all finite, compared with the network before any is set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conductance.errors import InputError, SavedNetworkError
from conductance.finite import not_finite
from conductance.nn import state as layers
from conductance.tensor_files import read_tensors

State = dict[str, Tensor]

EXTRA_STATE = "_extra_state"


def state_of(model: nn.Module) -> tuple[State, dict[str, str]]:
    """The state dict on the CPU, each tensor once; and the further names of tensors that have several.

    Raises:
        InputError: it holds something that is no tensor, or numbers that are not finite.
    """
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{name} is a {type(value).__name__}, and only tensors can be saved")
        if value.is_meta:
            raise InputError(f"{name} is on the meta device and has no values yet; load or initialize the model first")
    same = _aliases(state)
    own = {name: value.detach().cpu() for name, value in state.items() if name not in same}
    refused = not_finite(own)
    if refused:
        raise InputError(f"{refused}, so nothing is saved; go back to an earlier checkpoint")
    return own, same


def _aliases(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of tensors that are another one, as those of shared modules and tied weights, and that one's name."""
    first: dict[tuple[object, ...], str] = {}
    found = {}
    for name, value in state.items():
        place = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        if value.numel() and place in first:
            found[name] = first[place]
        else:
            first[place] = name
    return found


def rounded(state: State, dtype: torch.dtype | None) -> State:
    """Floating-point numbers in another type; None leaves them as they are.

    Raises:
        InputError: the type does not reach so far.
    """
    if dtype is None:
        return state
    found = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    refused = not_finite(found)
    if refused:
        raise InputError(f"in {str(dtype).removeprefix('torch.')} {refused}; choose a type with a wider range")
    return found


def read(file: Path) -> State:
    """Read a safetensors file, which holds numbers and no code.

    Raises:
        SavedNetworkError: it is missing, damaged, or holds infinite values or NaN.
    """
    try:
        return read_tensors(file)
    except FileNotFoundError:
        raise SavedNetworkError(f"{file.parent} holds no {file.name}; save the network again") from None
    except OSError as error:
        raise SavedNetworkError(f"{file} cannot be read ({error.strerror}); make it readable") from None
    except ValueError as error:
        raise SavedNetworkError(f"{file} is damaged ({error}); save or download it again") from None


def difference(state: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> str | None:
    """One line about how a file's tensors differ from a network's; None where they fit."""
    missing = [name for name in here if name not in state]
    extra = [name for name in state if name not in here]
    other = [
        name
        for name, value in here.items()
        if name in state
        and (state[name].shape != value.shape or state[name].is_floating_point() != value.is_floating_point())
        and not name.endswith(EXTRA_STATE)
    ]
    if missing:
        return f"the file has no {missing[0]}{more(missing)}"
    if extra:
        return f"the network has no {extra[0]}{more(extra)}"
    if other:
        name = other[0]
        return f"{name} is {_shown(state[name])} in the file and {_shown(here[name])} in the network{more(other)}"
    said = (_said_otherwise(name, state[name], here[name]) for name in here if name.endswith(EXTRA_STATE))
    return next((line for line in said if line is not None), None)


def _said_otherwise(name: str, saved: Any, here: Any) -> str | None:
    """How two layers' own words about what their parameters mean differ."""
    layer = name.removesuffix(EXTRA_STATE).removesuffix(".")
    if not isinstance(saved, Tensor) or not isinstance(here, Tensor):
        return None  # code of others keeps something there
    try:
        return layers.difference(layer, layers.decode(saved), layers.decode(here))
    except (ValueError, AttributeError, TypeError) as error:
        return f"{name} cannot be read: {error}"


def _shown(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def more(names: list[str]) -> str:
    """How many names there are beside the first."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
