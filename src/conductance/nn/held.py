"""Conductances and leaks that many time slices read, computed once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from conductance import kernels
from conductance.nn.conductance import ConductanceLayer


class HeldLayer(ConductanceLayer):
    """A conductance layer that can hold what it makes of its parameters, from one time slice to the next."""

    _held: tuple[Tensor, Tensor] | None = None  # conductances and leak
    _packed: Tensor | None = None  # the conductances as products read them, from the first product on

    pools_later = False
    """Whether the units that these sums are for have a pooled interneuron, which acts in time, outside this layer."""

    def hold(self) -> None:
        """Compute conductances and leak now, for all calls until `release`."""
        self.release()
        self._held = self.to_read(), self.leak()

    def release(self) -> None:
        """Compute them anew at each call, as any layer does."""
        for name in ("_held", "_packed"):  # removed, so that no layer shows what it once held
            vars(self).pop(name, None)

    def synaptic_conductances(self, p: Tensor) -> kernels.Sums:
        """E' of all units, then I', from what is held, or from the parameters."""
        if self._held is None:
            return super().synaptic_conductances(p)
        conductance, leak = self._held
        if self._packed is None:
            self._packed = kernels.pack_for_many(conductance, self.presynaptic, self.synaptic_sum, p)
        return kernels.open_conductances(p, self._packed, self.presynaptic, leak, self.synaptic_sum)

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
