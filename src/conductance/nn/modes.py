"""Running a model on a batch, and in evaluation mode for a while."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conductance.checked import no_network
from conductance.errors import InputError
from conductance.nested import tensors_of


def require_module(model: Any) -> None:
    """Refuse what is no network, before anything is done with it.

    Raises:
        InputError: it is no ``nn.Module``. What holds one, as the report of `convert` does, is said.
    """
    if not isinstance(model, nn.Module):
        raise InputError(no_network("model", model))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """``model`` in evaluation mode; afterwards every module of it is in the mode in which it was."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        model.train(before[model])  # for those that do more then than to take note
        for module, training in before.items():
            module.training = training


def call(model: nn.Module, batch: Any) -> Any:
    """The output of a model for a batch, in any of the forms in which people hold one.

    Args:
        model: any module.
        batch: a tensor or a numpy array; a tuple or list of them, one for each argument of the model; or a mapping
            from names of arguments to them. Arrays of floating-point numbers get the model's device and precision.

    Raises:
        InputError: anything else, or arguments that the model does not take.
    """
    batch = as_tensors(model, batch)
    keywords = batch if isinstance(batch, Mapping) else {}
    args = () if keywords else batch if isinstance(batch, tuple) else (batch,)
    try:
        inspect.signature(model.forward).bind(*args, **keywords)
    except TypeError as error:
        raise InputError(
            f"the batch has {len(args) + len(keywords)} part(s), and {type(model).__name__}.forward does not take it: "
            f"{error}; give the model's inputs alone, without labels, as a tuple if there are several"
        ) from None
    return model(*args, **keywords)


def run_example(model: nn.Module, example: Any, what: str) -> Any:
    """`call` for a batch that a person chose to look at a model with; what the model answers is put in one line.

    Args:
        model: any module.
        example: as for `call`.
        what: what the batch is called, "example" or "batch".

    Raises:
        InputError: there are no samples in it, or the model cannot take it.
    """
    example = as_tensors(model, example)
    parts = list(tensors_of(example))
    shapes = ", ".join(str(tuple(part.shape)) for part in parts)
    if parts and all(part.numel() == 0 for part in parts):
        raise InputError(f"the {what}, of shape {shapes}, holds no samples; give at least one")
    try:
        return call(model, example)
    except InputError:
        raise
    except Exception as error:  # whatever a model says of what it cannot take
        first = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"{type(model).__name__} cannot take the {what}, of shape {shapes}: {type(error).__name__}: {first}"
        ) from error


def as_tensors(model: nn.Module, value: Any) -> Any:
    """Tensors as they are, numpy arrays as tensors where the model is, and containers of these part by part.

    Raises:
        InputError: it is or holds anything else, or an array that holds no numbers.
    """
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_numpy(model, np.asarray(value))
    if isinstance(value, Mapping):
        return {str(name): as_tensors(model, part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(as_tensors(model, part) for part in value)
    raise InputError(
        f"a batch holds a {type(value).__name__}; give a tensor or a numpy array, a tuple of them for a model with "
        "several inputs, or a dictionary of its arguments"
    )


def _from_numpy(model: nn.Module, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise InputError(f"a batch is a numpy array of {array.dtype}; give one of numbers")
    floats = (value for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())
    like = next(floats, torch.empty(0))
    dtype = like.dtype if array.dtype.kind == "f" else None
    return torch.as_tensor(array, dtype=dtype, device=like.device)
