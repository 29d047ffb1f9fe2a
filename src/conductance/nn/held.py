"""Conductances that many time slices read, computed once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from conductance.nn.conductance import ConductanceLayer


class HeldLayer(ConductanceLayer):
    """A conductance layer that can hold what it makes of its parameter, from one time slice to the next."""

    _held: Tensor | None = None

    pools_later = False
    """Whether the units that these sums are for have a pooled interneuron, which acts in time, outside this layer."""

    def hold(self) -> None:
        """Compute the conductances now, for all calls until `release`."""
        self._held = super().packed()

    def release(self) -> None:
        """Compute them anew at each call, as any layer does."""
        vars(self).pop("_held", None)

    def packed(self) -> Tensor:
        """The conductances in the order that the products read, see `kernels.pack`."""
        return super().packed() if self._held is None else self._held

    def description(self) -> dict[str, Any]:
        """What the parameters mean, as for any layer; a pooled interneuron that acts in time is part of it."""
        return {**super().description(), **({"pooled_interneuron": True} if self.pools_later else {})}

    @torch.no_grad()
    def set_conductance(self, conductance: Tensor) -> None:
        """Set G, whichever form the parameter has.

        Raises:
            InputError: see `ConductanceLayer.set_conductance`.
        """
        super().set_conductance(conductance)
        self.refresh()

    def refresh(self) -> None:
        """Compute what is held anew, if anything is."""
        if self._held is not None:
            self.hold()


@contextmanager
def holding(layers: Iterable[HeldLayer]) -> Iterator[None]:
    """Within the context the layers' conductances are computed once."""
    layers = list(layers)
    for layer in layers:
        layer.hold()
    try:
        yield
    finally:
        for layer in layers:
            layer.release()
