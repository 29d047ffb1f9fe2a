"""Where Triton's kernels run: on a CUDA device for which Triton compiles."""

import importlib.util
import warnings
from functools import cache

import torch
from torch import Tensor

from conductance.eager import constant_when_compiled


def on_gpu(tensor: Tensor) -> bool:
    """Whether Triton's kernels take this tensor."""
    return triton_serves(tensor.device)


@constant_when_compiled
def triton_serves(device: torch.device) -> bool:
    """Whether the device is a CUDA device, and Triton is installed and compiles for it; tried once, at first use."""
    return device.type == "cuda" and _compiles(device)


@constant_when_compiled
def rounds_float32() -> bool:
    """Whether products on a GPU may round float32 factors to TF32, as tensor cores take them."""
    return bool(torch.backends.cuda.matmul.fp32_precision == "tf32")


@cache
def _compiles(device: torch.device) -> bool:
    if importlib.util.find_spec("triton") is None:
        return False
    from conductance.kernels.gpu import average

    try:
        average.alone(torch.ones(2, 2, device=device), -1, False, torch.float32)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a compiler or its headers are missing, or the GPU is too old
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"Triton does not compile for {device} ({type(error).__name__}: {reason}); going on with plain torch "
            "operations. Triton needs a GPU of compute capability 7.0 or more, and a C compiler",
            stacklevel=2,
        )
        return False
    return True
