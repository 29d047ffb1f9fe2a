"""Networks too large for one process: each holds a part of every parameter (FSDP2), and files hold them whole."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.nested import tensors_of
from conductance.optim.readout import LAYERS
from conductance.sharded import is_sharded, sharded_like, whole


def shard(network: nn.Module, device: torch.device, processes: int) -> None:
    """Divide the parameters of a network among all processes, in place.

    Each layer with synapses is gathered by itself while it computes, what is left together with the whole network. The
    parameters become other objects (``DTensor``), so an optimizer is made after this.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (processes,))
    for module in reversed(list(network.modules())):  # inner layers first
        if module is network or isinstance(module, LAYERS):
            _make_contiguous(module)
            fully_shard(module, mesh=mesh)


def _make_contiguous(module: nn.Module) -> None:
    """FSDP2 takes no other layout, such as channels last."""
    for parameter in module.parameters():
        if not is_sharded(parameter):
            parameter.data = parameter.data.contiguous()


def is_divided(network: nn.Module) -> bool:
    """Whether each process holds a part of the network only."""
    return any(is_sharded(parameter) for parameter in network.parameters())


def class_name(network: nn.Module) -> str:
    """The name of a network's class. ``fully_shard`` has put a class of its own before it."""
    kinds = type(network).__mro__
    return kinds[2 if kinds[1].__name__ == "FSDPModule" else 0].__name__


@contextmanager
def gradients_kept(network: nn.Module) -> Iterator[None]:
    """A context in which gradients are added up in each process, and not yet over all of them."""
    network.set_requires_gradient_sync(False)  # type: ignore[operator]
    try:
        yield
    finally:
        network.set_requires_gradient_sync(True)  # type: ignore[operator]


def gathered(state: Any) -> Any:
    """A state with whole tensors, as a single process has it. All processes call this."""
    return in_state(whole, state) if any(map(is_sharded, tensors_of(state))) else state


def in_state(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Replace every tensor of a state by a function of it. (`map_tensors` is for batches: it makes lists tuples.)"""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, Mapping):
        return {name: in_state(function, part) for name, part in state.items()}
    if type(state) in (list, tuple):
        return type(state)(in_state(function, part) for part in state)
    return state


def load_network(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Load a state with whole tensors into a network that may be divided."""
    own = network.state_dict()
    divided = {name: _part_of(value, own[name]) if name in own else value for name, value in state.items()}
    network.load_state_dict(divided)


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load a state with whole tensors into the optimizer of a network that may be divided."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not any(map(is_sharded, parameters)):
        optimizer.load_state_dict(dict(state))
        return
    divided = {
        number: {name: _part_of(value, parameters[number]) for name, value in own.items()}
        for number, own in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": divided})


def _part_of(value: Any, like: Any) -> Any:
    fits = isinstance(value, Tensor) and isinstance(like, Tensor) and is_sharded(like) and value.shape == like.shape
    return sharded_like(value.to(like.device), like) if fits else value
