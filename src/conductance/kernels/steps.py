"""A step of an optimizer and the limit of its parameters in one pass, in C++; apart, both go through all of memory."""

import ctypes
import math

import torch
from torch import Tensor

from conductance.eager import eager
from conductance.kernels import native


def serve(parameter: Tensor, *others: Tensor) -> bool:
    """Whether the passes take this parameter and what is read with it: float32, on a CPU, in one dense layout."""
    if not eager():
        return False
    dense = parameter.is_contiguous() or parameter.is_contiguous(memory_format=torch.channels_last)
    alike = all(
        native.is_plain(each)
        and each.dtype == torch.float32
        and each.shape == parameter.shape
        and each.stride() == parameter.stride()
        for each in (parameter, *others)
    )
    return dense and alike and native.is_worth_it(parameter.numel()) and native.library("steps") is not None


def adam(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    least: float,
) -> None:
    """Adam (Kingma & Ba, 2015) as torch computes it, and max(g, least).

    Args:
        parameter: g, changed in place.
        gradient: of the same shape and layout, as all that follows.
        mean: running mean of the gradient, changed in place.
        square: running mean of its square, changed in place.
        step: which one this is, from 1 on.
        lr: step size.
        betas: decay of the two means.
        eps: added to the root of the second.
        least: what g must not fall below.
    """
    size, root = lr / (1 - betas[0] ** step), math.sqrt(1 - betas[1] ** step)
    numbers = map(ctypes.c_float, (size, *betas, root, eps, least))
    _run("adam", (parameter, gradient, mean, square), (parameter.numel(),), *numbers)


def subtract(parameter: Tensor, step: Tensor, least: float) -> None:
    """g <- max(g - step, least), in place.

    Args:
        parameter: a part of one that the passes serve: rows (..., width) at equal distances.
        step: of its shape.
        least: what g must not fall below.
    """
    width = parameter.shape[-1]
    sizes = parameter.numel() // width, width, parameter.stride(-2)
    _run("subtract", (parameter, step.contiguous()), sizes, ctypes.c_float(least))


def _run(name: str, tensors: tuple[Tensor, ...], sizes: tuple[int, ...], *numbers: ctypes.c_float) -> None:
    threads = max(1, min(torch.get_num_threads(), math.prod(sizes[:2]) // native.PER_THREAD))
    getattr(native.library("steps"), name)(*native.addresses(tensors), *map(ctypes.c_int64, sizes), *numbers, threads)
    torch.autograd.graph.increment_version(tensors[0])  # so that autograd knows what it can no longer use
