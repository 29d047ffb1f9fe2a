"""Whether torch runs operations as they come, or wants to see through them."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch.autograd import forward_ad

Answer = TypeVar("Answer", bound=Callable[..., object])


def eager() -> bool:
    """False inside ``torch.compile``, ``torch.export``, ``torch.jit.trace``, the transforms of ``torch.func``, and
    modes that see each operation (``make_fx``, ``FlopCounterMode``).

    They rewrite operations or record them, and miss or refuse those that write into memory given to them.
    """
    seen = torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack() > 0
    return not (seen or transformed())


def transformed() -> bool:
    """Whether derivatives are taken forward, or by a transform of ``torch.func``."""
    return forward_ad._current_level >= 0 or in_torch_func()


def in_torch_func() -> bool:
    """Whether a transform of ``torch.func`` runs, which sees nothing that is written into other tensors."""
    return torch._C._functorch.maybe_current_level() is not None


def is_seen_through(grad: torch.Tensor) -> bool:
    """Whether a backward pass that is given this has to consist of operations that torch sees.

    It is differentiated again, or transformed, or many gradients come at once (``is_grads_batched``). A compiler takes
    this package's own operators as they are, see `kernels.gpu.operators`.
    """
    return torch.is_grad_enabled() or transformed() or torch._C._functorch.is_legacy_batchedtensor(grad)


def constant_when_compiled(function: Answer) -> Answer:
    """As ``torch.compiler.assume_constant_result``, which imports the compiler and so doubles the time of an import."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
