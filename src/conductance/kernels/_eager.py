"""Whether torch runs operations as they come, or wants to see through them."""

import torch


def eager() -> bool:
    """False inside ``torch.compile``, ``torch.export`` and the transforms of ``torch.func``.

    They rewrite operations, and refuse those that write into memory given to them.
    """
    return not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack() is None
