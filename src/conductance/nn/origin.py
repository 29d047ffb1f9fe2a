"""Finds out which tensors of a forward pass are made from the model's inputs alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from conductance.nested import tensors_of


class Origin(TorchFunctionMode):
    """A context that follows a model's inputs through all operations without parameters.

    Views, pooled, padded and concatenated inputs are made from the inputs alone. The output of a layer with parameters
    is not.

    Args:
        inputs: the input tensors of the model.
    """

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        super().__init__()
        # references to the tensors keep their ids unique
        self._made_of_inputs = {id(tensor): tensor for tensor in inputs}
        self._made_of_parameters: dict[int, Tensor] = {}

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is made from the inputs alone."""
        return id(tensor) in self._made_of_inputs

    def _is_learned(self, tensor: Tensor) -> bool:
        return isinstance(tensor, nn.Parameter) or id(tensor) in self._made_of_parameters

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        read = list(tensors_of((args, dict(kwargs or {}))))
        made = {id(tensor): tensor for tensor in tensors_of(result)}
        if any(map(self._is_learned, read)):
            self._made_of_parameters |= made
        elif any(map(self.holds, read)):
            self._made_of_inputs |= made
        return result
