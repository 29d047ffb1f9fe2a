"""How data become presynaptic neurons."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from conductance.circuits.places import Places
from conductance.errors import InputError, UnknownNameError

Coding = Literal["on_off", "doubled"]


@dataclass(frozen=True)
class InputCode:
    """What an input's neurons send for each value of the data.

    Attributes:
        shape: of one sample.
        places: of the neurons; a coding with two neurons for each value has twice the channels.
        coding: None for the values p themselves; "on_off" for neurons that send p and neurons that send 1 - p;
            "doubled" for two that send p (one kind excites and the other inhibits, paper section 4.2).
    """

    shape: tuple[int, ...]
    places: Places
    coding: Coding | None

    def flattened(self, name: str, values: Tensor) -> Tensor:
        """The data as (N, values), or (N, time, values) for a sequence.

        Raises:
            InputError: they have another shape.
        """
        axes = len(self.shape)
        if values.ndim not in (axes + 1, axes + 2) or tuple(values.shape[-axes:]) != self.shape:
            shape = ", ".join(map(str, self.shape))
            raise InputError(
                f"input {name!r} was given the shape {tuple(values.shape)}; give (N, {shape}), or (N, time, {shape}) "
                "for a sequence"
            )
        if values.ndim == axes + 2 and not values.shape[1]:
            raise InputError(f"input {name!r} was given sequences without elements; give one element or more")
        return values.flatten(-axes)

    def encode(self, values: Tensor) -> Tensor:
        """What the neurons send, (..., units)."""
        if self.coding is None:
            return values
        return torch.cat([values, 1 - values if self.coding == "on_off" else values], -1)


def require_coding(coding: str | None) -> None:
    """Insist on a coding that there is.

    Raises:
        UnknownNameError: there is no such coding.
    """
    if coding is not None and coding not in get_args(Coding):
        raise UnknownNameError("coding", coding, get_args(Coding))
