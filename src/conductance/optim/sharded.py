"""Parameters that several processes hold in parts (``DTensor``, as FSDP2's ``fully_shard`` makes them)."""

import torch.distributed as dist
from torch import Tensor, nn

from conductance.errors import InputError


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on every process; a tensor that is not sharded is returned as it is."""
    whole_tensor: Tensor = tensor.full_tensor() if _is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return whole_tensor


def sharded_like(tensor: Tensor, other: Tensor) -> Tensor:
    """The inverse of `whole`: each process keeps the part of ``tensor`` that it has of ``other``."""
    if not _is_sharded(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # every process has computed the same tensor, so nothing needs to be sent
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)  # type: ignore[attr-defined]


def require_whole_matrices(model: nn.Module) -> None:
    """Refuse a model whose parameters were flattened.

    Raises:
        InputError: it is wrapped in ``FullyShardedDataParallel``.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    from torch.distributed.fsdp import FullyShardedDataParallel

    if any(isinstance(module, FullyShardedDataParallel) for module in model.modules()):
        raise InputError(
            "FullyShardedDataParallel (FSDP1) flattens parameters, so that no layer's synapses can be found; shard the "
            "model by torch.distributed.fsdp.fully_shard (FSDP2), which works with every rule"
        )


def _is_sharded(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")
