"""How much memory a network takes in training, told before it is made."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from conductance.checked import checked
from conductance.memory import in_bytes
from conductance.nested import map_tensors, tensors_of
from conductance.nn import ConductanceLayer
from conductance.nn.modes import as_tensors, run_example
from conductance.nonnegative import note_nonnegative
from conductance.optim.create import create_optimizer
from conductance.optim.optimizer import RuleName

_NUMBERS_KEPT = {"adam": 2, "muon": 1, "sgd": 1, "eg": 1}
"""What each rule remembers of every parameter."""

_COPIES_OF_MUON = 2
"""Of its largest matrix, while it is made orthogonal."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a training step holds at its worst moment; ``print`` shows them.

    Attributes:
        parameters: the network's, its buffers included.
        gradients: of all parameters.
        optimizer: what the optimizer remembers, and what it needs during a step.
        activations: what the backward pass needs of the forward pass, and the largest results on the way.
        data: whatever else lies on the device.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    data: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def parts(self) -> str:
        """Each part in words."""
        return ", ".join(f"{field.name} {in_bytes(getattr(self, field.name))}" for field in fields(self))

    def __str__(self) -> str:
        return f"{in_bytes(self.total)} ({self.parts})"


@checked
def estimate(
    network: nn.Module, batch: Any, *, optimizer: RuleName | None = "muon", averaged: bool = False, data: int = 0
) -> MemoryEstimate:
    """The memory of training, from the shapes of all tensors: nothing is computed, and no memory taken.

    A network that is too large to be made can be asked on the meta device:

    >>> import conductance
    >>> with torch.device("meta"):
    ...     network = conductance.create_model("fcn", "cwa", (1, 28, 28), 10, widths=(100_000, 100_000))
    ...     batch = torch.empty(100, 1, 28, 28)
    >>> round(estimate(network, batch).total / 1e9)
    181

    Measured peaks are within a quarter of it (`tests/optim/test_footprint.py`).

    Args:
        network: any module, on the meta device or any other; it is left as it was.
        batch: one of the batches it is trained on, on the meta device or any other, in any form that `observe` takes.
        optimizer: the rule of `optim.create_optimizer`; None for a network that is used and not trained.
        averaged: whether a running mean of all weights is kept too.
        data: bytes of whatever else lies on the device, such as all training images.

    Raises:
        InputError: the network does not take the batch.
    """
    network, batch = _on_meta(network, batch)
    parameters = _bytes(network.parameters()) + _bytes(network.buffers())
    if optimizer is None:
        with torch.no_grad():
            return MemoryEstimate(parameters, 0, 0, _passed_on(network, batch)[1], data)
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    saved, largest = _passed_on(network.train(), batch)
    remembered, working = _of_optimizer(network, optimizer)
    activations = saved + 2 * largest
    return MemoryEstimate(
        parameters * (2 if averaged else 1),
        _bytes(learnt),
        remembered + max(0, working - activations),  # the step comes when activations are gone
        activations,
        data,
    )


def _on_meta(network: nn.Module, batch: Any) -> tuple[nn.Module, Any]:
    batch = map_tensors(lambda tensor: tensor.detach().to("meta"), as_tensors(network, batch))
    network = deepcopy(network).to("meta")
    for layer in network.modules():
        if isinstance(layer, ConductanceLayer) and "g" in layer._parameters and layer.nonnegative == "clamped":
            note_nonnegative(layer.g)  # as it is while it is trained, so that no copy is clamped
    return network, batch


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _of_optimizer(network: nn.Module, name: RuleName) -> tuple[int, int]:
    """Bytes that the optimizer remembers, and those that it needs for a moment."""
    groups = create_optimizer(network, name).param_groups
    kept = sum(_NUMBERS_KEPT[group["rule"]] * _bytes(group["params"]) for group in groups)
    matrices = [_bytes([each]) for group in groups if group["rule"] == "muon" for each in group["params"]]
    return kept, _COPIES_OF_MUON * max(matrices, default=0)


def _passed_on(network: nn.Module, batch: Any) -> tuple[int, int]:
    """Bytes that the backward pass keeps of a forward pass, and those of the largest result of a layer."""
    own = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}
    largest = 0

    def keep(tensor: Tensor) -> Tensor:
        found = tensor.detach()  # an output that its own graph held, graph and all, would never be freed
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = found
        return found

    def look(module: nn.Module, args: Any, output: Any) -> None:
        nonlocal largest
        del module, args
        largest = max(largest, sum(each.untyped_storage().nbytes() for each in tensors_of(output)))

    handles = [module.register_forward_hook(look) for module in network.modules()]
    try:
        with saved_tensors_hooks(keep, lambda tensor: tensor), torch.compiler.set_stance("force_eager"):
            run_example(network, batch, "batch")
    finally:
        for handle in handles:
            handle.remove()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), largest


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
