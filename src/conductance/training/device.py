"""Where a run computes, and that it does so the same way each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin

from conductance.errors import InputError
from conductance.runs.config import Precision


def check_device(device: str, precision: Precision) -> None:
    """Whether this machine can compute there, and so.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        precision: "no", "bf16" or "fp16".

    Raises:
        InputError: another name, a device that this machine lacks, or a precision that it lacks.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in ("auto", "cpu", *available):
        raise InputError(f"device={device!r}: choose auto, cpu, cuda or mps")
    if not available.get(device, True):
        raise InputError(f"device={device!r}: torch finds none on this machine; leave it out, or choose cpu")
    if _on_cpu(device) and precision == "fp16":
        raise InputError("precision=fp16: the loss is scaled for it on GPUs alone; choose bf16 or no on a CPU")


def create_accelerator(device: str, precision: Precision) -> Accelerator:
    """One device, or one of several processes under ``accelerate launch``.

    To be called in the block of a `SharedState`.

    Raises:
        InputError: see `check_device`.
    """
    check_device(device, precision)
    return Accelerator(
        cpu=_on_cpu(device),  # else accelerate overlooks its fellow processes
        mixed_precision=precision,
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # steps are weighed by their examples
    )


def _on_cpu(device: str) -> bool:
    return device == "cpu" or not torch.accelerator.is_available()


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """The same seed gives the same numbers on the same machine: no algorithm is chosen by a race.

    On a GPU float32 products may round their factors to TF32. E' and I' come out in float32 all the same, so that
    their difference keeps its digits.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    precision = torch.get_float32_matmul_precision()
    cudnn.deterministic, cudnn.benchmark = True, False
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.set_float32_matmul_precision(precision)


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Float32 below 1.2e-38 is 0 on the processor, where it can do so.

    The momentum of a synapse without gradient decays to such numbers within two thousand steps and stays there, and
    some processors take a hundred times as long over a product that has them. The other threads of the process do as
    this one does when torch starts them, so enter this before anything is computed.
    """
    before = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def flushes_denormals() -> bool:
    """Whether this thread takes what is below float32's smallest number of full precision for 0."""
    smallest = torch.full((1,), torch.finfo(torch.float32).tiny)
    return bool((smallest / 2 == 0).item())


def memory_format(device: torch.device) -> torch.memory_format:
    """How images and kernels lie in memory: channels last on a GPU, whose tensor cores read them so."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
