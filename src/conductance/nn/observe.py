"""Looking inside: what the conductance layers of a network do with a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from conductance import functional, kernels
from conductance.nn._conductance import ConductanceLayer
from conductance.nn.modes import evaluating


@dataclass(frozen=True)
class Observation:
    """One layer's state on one batch.

    Attributes:
        name: the layer's name in the model.
        layer: the layer itself, with its ``conductance`` and ``valence``.
        excitation: E', the excitatory conductance open at each unit, leak included, and what joins it from elsewhere
            (a shortcut's, the interneurons' after the last slice), (N, units, *positions).
        inhibition: I', likewise.
        z: membrane potentials in [-1, 1], same shape.
    """

    name: str
    layer: ConductanceLayer
    excitation: Tensor
    inhibition: Tensor
    z: Tensor

    @property
    def p(self) -> Tensor:
        """Open probabilities in [0, 1]: max(z, 0), or what the layer's own gate makes of z.

        A layer without activation hands on z: what becomes of that behind it (BatchNorm, a residual sum) is not seen.
        """
        return self.z.clamp(min=0) if self.layer.gate is None else self.layer.gate(self.z)


@torch.no_grad()
def visit(model: nn.Module, batch: Tensor, look: Callable[[str, ConductanceLayer, Tensor], None]) -> None:
    """Run ``model`` on a batch and call ``look(name, layer, p)`` just before each conductance layer receives its p.

    The model is run in evaluation mode and left as it was, but for what ``look`` does to a layer. A compiled one is run
    as if it were not, for what is compiled does not see that it is looked at.
    """
    _visit(model, batch, lambda name, layer, p, _: look(name, layer, p))


def _visit(
    model: nn.Module, batch: Tensor, look: Callable[[str, ConductanceLayer, Tensor, Tensor | None], None]
) -> None:
    """`visit`, with what is ``further`` open."""

    def hook(name: str, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert isinstance(layer, ConductanceLayer)
        given = {**dict(zip(("p", "further"), args, strict=False)), **kwargs}
        look(name, layer, given["p"], given.get("further"))

    handles = [
        module.register_forward_pre_hook(partial(hook, name), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, ConductanceLayer)
    ]
    try:
        with evaluating(model), torch.compiler.set_stance("force_eager"):
            model(batch)
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def observe(model: nn.Module, batch: Tensor) -> list[Observation]:
    """Run ``model`` on a batch and report every conductance layer, in the order in which they ran.

    Args:
        model: any module that contains conductance layers; it is run in evaluation mode and left as it was.
        batch: input of the model.
    """
    observations: list[Observation] = []
    within: list[ConductanceLayer] = []  # its interneurons run once more when a layer is asked what it averages

    def look(name: str, layer: ConductanceLayer, p: Tensor, further: Tensor | None) -> None:
        if not within:
            within.append(layer)
            E, I = kernels.restored(layer.averaged(p, further), layer.channel_axis).chunk(2, layer.channel_axis)
            within.pop()
            observations.append(Observation(name, layer, E, I, functional.membrane_potential(E, I)))

    _visit(model, batch, look)
    return observations
