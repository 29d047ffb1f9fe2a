"""How much of a computation is matrix products, and how fast the machine is at those."""

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE = {"cpu": 1024, "cuda": 8192}  # of the square matrices: large enough to be limited by arithmetic alone


def floating_point_operations(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions in ``run()``, backward included."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def matrix_product(device: torch.device) -> Callable[[], object]:
    """A product of two large matrices, of the type that products have here and now."""
    autocast = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if autocast else torch.float32
    side = SIDE[device.type]
    a, b = (torch.rand(side, side, dtype=dtype, device=device) for _ in range(2))
    return lambda: torch.mm(a, b)
