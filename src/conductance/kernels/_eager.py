"""Whether torch runs operations as they come, or wants to see through them."""

import torch
from torch.autograd import forward_ad


def eager() -> bool:
    """False inside ``torch.compile``, ``torch.export``, ``torch.jit.trace`` and the transforms of ``torch.func``.

    They rewrite operations or record them, and miss or refuse those that write into memory given to them.
    """
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or transformed())


def transformed() -> bool:
    """Whether derivatives are taken forward, or by a transform of ``torch.func``."""
    return forward_ad._current_level >= 0 or torch._C._functorch.peek_interpreter_stack() is not None
