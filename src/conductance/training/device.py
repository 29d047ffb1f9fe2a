"""Devices, and reproducible computation on them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin

from conductance.errors import InputError
from conductance.runs.config import Precision


def check_device(device: str, precision: Precision) -> None:
    """Check that this machine has the device and supports the precision on it.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        precision: "no", "bf16" or "fp16".

    Raises:
        InputError: an unknown device, or one that is not available; or a precision that the device does not support.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in ("auto", "cpu", *available):
        raise InputError(f"device={device!r}: choose auto, cpu, cuda or mps")
    if not available.get(device, True):
        raise InputError(f"device={device!r}: torch finds none on this machine; leave this option out, or choose cpu")
    if _on_cpu(device) and precision == "fp16":
        raise InputError("precision=fp16: loss scaling, which it needs, works on GPUs only; choose bf16 or no on a CPU")


def create_accelerator(device: str, precision: Precision) -> Accelerator:
    """An accelerator for one device, or for this process of several under ``accelerate launch``.

    Call this in the block of a `SharedState`.

    Raises:
        InputError: see `check_device`.
    """
    check_device(device, precision)
    return Accelerator(
        cpu=_on_cpu(device),  # without it accelerate does not find the other processes
        mixed_precision=precision,
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # the trainer weighs batches itself
    )


def _on_cpu(device: str) -> bool:
    return device == "cpu" or not torch.accelerator.is_available()


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """A context in which the same seed gives the same numbers on the same machine.

    cuDNN uses deterministic algorithms and does not choose between them by timing. On a GPU float32 products may round
    their factors to TF32; sums are float32, so that E' - I' stays accurate.
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
    """A context in which the processor replaces denormal float32 numbers (below 1.2e-38) by 0, if it can.

    The momentum of a synapse without gradient decays to such numbers within two thousand steps and stays there, and on
    some processors products with them take a hundred times as long. Threads inherit the setting when torch starts them,
    so enter this context before anything is computed.
    """
    before = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def flushes_denormals() -> bool:
    """Whether this thread replaces denormal float32 numbers by 0."""
    smallest = torch.full((1,), torch.finfo(torch.float32).tiny)
    return bool((smallest / 2 == 0).item())


def memory_format(device: torch.device) -> torch.memory_format:
    """The memory layout of images and kernels: channels last where libraries convolve faster so."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last
