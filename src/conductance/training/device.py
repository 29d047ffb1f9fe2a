"""Where a run computes, and that it does so the same way each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from conductance.errors import InputError
from conductance.training.config import RunConfig


def create_accelerator(config: RunConfig, device: str) -> Accelerator:
    """One device, or one of several processes under ``accelerate launch``.

    Args:
        config: gives precision and gradient accumulation.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: another name, or a device that this machine lacks.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in ("auto", "cpu", *available):
        raise InputError(f"device={device!r}: choose auto, cpu, cuda or mps")
    if not available.get(device, True):
        raise InputError(f"device={device!r}: torch finds none on this machine; leave it out, or choose cpu")
    # accelerate keeps one state per process; a second run in it may want another device or precision
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=device == "cpu" or not torch.accelerator.is_available(),  # else accelerate overlooks its fellow processes
        mixed_precision=config.precision,
        gradient_accumulation_steps=config.accumulate,
    )


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """The same seed gives the same numbers on the same machine: no algorithm is chosen by a race.

    On a GPU float32 products may round their factors to TF32. E' and I' come out in float32 all the same, so that
    their difference keeps its digits.

    On a processor numbers below 1e-38 are 0. The momentum of a synapse without gradient decays to them within a thousand
    steps, and some processors multiply them tens of times more slowly than others.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    precision, flushed = torch.get_float32_matmul_precision(), flushes_denormals()
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.set_float32_matmul_precision(precision)
        torch.set_flush_denormal(flushed)


def flushes_denormals() -> bool:
    """Whether this thread takes numbers too small for float32's full precision for 0."""
    tiny = torch.tensor([torch.finfo(torch.float32).tiny])
    return bool((tiny / 2 == 0).item())


def memory_format(device: torch.device) -> torch.memory_format:
    """How images and kernels lie in memory: channels last on a GPU, whose tensor cores read them so."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
