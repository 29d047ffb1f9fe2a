"""Parameters that several processes hold in parts (``DTensor``, as FSDP2's ``fully_shard`` makes them)."""

from collections.abc import Iterator
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from conductance.errors import InputError


def is_sharded(tensor: Tensor) -> bool:
    """Whether each process holds a part of the tensor only."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on every process; a tensor that is not sharded is returned as it is."""
    whole_tensor: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return whole_tensor


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor. (To look at the whole, every process must ask.)"""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return part


def sharded_like(tensor: Tensor, other: Tensor) -> Tensor:
    """The inverse of `whole`: each process keeps the part of ``tensor`` that it has of ``other``."""
    if not is_sharded(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # every process has computed the same tensor, so nothing needs to be sent
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)  # type: ignore[attr-defined]


def refuse_sharded(model: nn.Module) -> None:
    """Refuse to set the conductances of a sharded model.

    In parts, inhibitory units are separated from their twins, and in a forward pass values are written into a copy.

    Raises:
        InputError: a parameter is sharded.
    """
    shards = any(is_sharded(parameter) for parameter in model.parameters())
    if shards or next(_fully_sharded(model), None) is not None:
        raise InputError(
            "conductances cannot be set once the model is sharded; initialize it before fully_shard, or load a state"
        )


def reshard(model: nn.Module) -> None:
    """Have the model hold its own parts again: after a forward pass ``fully_shard`` leaves parameters gathered."""
    for module in _fully_sharded(model):
        module.reshard()


def refuse_flattened(model: nn.Module) -> None:
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


def _fully_sharded(model: nn.Module) -> Iterator[Any]:
    if dist.is_available() and dist.is_initialized():
        from torch.distributed.fsdp import FSDPModule

        yield from (module for module in model.modules() if isinstance(module, FSDPModule))
