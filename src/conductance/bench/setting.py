"""What is measured on, checked before anything is measured: the device, and the precision of its products."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from conductance.errors import InputError, UnknownNameError

PRECISIONS = ("float32", "tf32", "bfloat16")
FIRST_WITH_TF32 = (8, 0)  # the compute capability of Ampere


def bench_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: neither cpu nor cuda, or a GPU where torch finds none.
    """
    if name not in ("cpu", "cuda"):
        raise InputError(f"device={name!r}: the benchmarks run on cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device={name!r}: torch finds no GPU on this machine; leave it out, or choose cpu")
    return torch.device(name)


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Everything inside multiplies in this precision.

    Args:
        name: "float32"; "tf32", float32 rounded for the products of a GPU that has this; "bfloat16", by autocast.
        device: where.

    Raises:
        UnknownNameError: another name.
        InputError: tf32 where the hardware does not have it.
    """
    if name not in PRECISIONS:
        raise UnknownNameError("precision", name, PRECISIONS)
    if name == "tf32" and not (device.type == "cuda" and torch.cuda.get_device_capability(device) >= FIRST_WITH_TF32):
        raise InputError(
            f"dtype=tf32: {device.type} has none here (it takes an NVIDIA GPU from Ampere on); try float32"
        )
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
