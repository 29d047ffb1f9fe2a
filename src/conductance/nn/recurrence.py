"""What a recurrent module does from one time slice to the next: where it comes to rest, and how fast changes grow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from conductance.checked import checked
from conductance.nn.held import HeldLayer, holding

# The share of the way to the next slice's state that is gone at once. Where slices alternate, this comes to rest up to
# a gain of 2 / DAMPING - 1.
DAMPING = 0.2
SETTLING_STEPS = 40
POWER_STEPS = 16
MOST_SAMPLES = 32
SMALLEST = 1e-30
AT_REST = 1e-3


@dataclass(frozen=True, eq=False)
class Loop:
    """A layer of a recurrent module, and through which of its synapses the module's own units act on it.

    Attributes:
        layer: all synapses of a population.
        channels: which presynaptic channels close a loop and may be scaled, (fan-in channels,), bool.
        leak_is_free: whether nobody chose the leak, so that it may be scaled too.
    """

    layer: HeldLayer
    channels: Tensor
    leak_is_free: bool


@dataclass(frozen=True, eq=False)
class SliceMap:
    """A module's step from slice to slice while its input stays as it is.

    Attributes:
        state: in which nothing has been sent: tensors (N, ...), nested in any way.
        step: from a state to the next; samples are independent.
        loops: the layers that run in a step.
    """

    state: Any
    step: Callable[[Any], Any]
    loops: Sequence[Loop]


class RecurrentModule(nn.Module):
    """A module that can say what it does from slice to slice."""

    def slice_map(self, *inputs: Any) -> SliceMap:
        """Its step for some of these inputs, each shown for ever; the elements of a sequence are samples too."""
        raise NotImplementedError


def spread_samples(values: Tensor) -> Tensor:
    """At most `MOST_SAMPLES` of the rows, evenly from all of them."""
    return values[:: -(-len(values) // MOST_SAMPLES)]


@checked
def spectral_radius(module: RecurrentModule, *inputs: Any) -> float:
    """By what factor a small change grows from one time slice to the next, around the state in which slices rest.

    The derivative of the step from slice to slice has eigenvalues; this is the size of the largest, for that of the
    samples where it is largest, by power iteration. Below 1, slices come to rest by themselves, and gradients fade on
    their way back in time; above 1, slices alternate or run away.

    Args:
        module: a `circuits.CircuitNetwork` or a `CWARNN`.
        inputs: as the module takes them; some samples are enough.
    """
    slices = module.slice_map(*inputs)
    return float(growth(slices, steady_state(slices)).amax())


@torch.no_grad()
def steady_state(slices: SliceMap, near: Any = None) -> Any:
    """Where the state comes to rest, found by small steps, so that it is found where slices alternate too.

    Args:
        slices: a module's step.
        near: a state to begin with; by default that in which nothing has been sent.
    """
    state = slices.state if near is None else near
    with holding(loop.layer for loop in slices.loops):
        for _ in range(SETTLING_STEPS):
            before, shape = tree_flatten(state)
            after = [b.to(a) for a, b in zip(before, tree_flatten(slices.step(state))[0], strict=True)]
            state = tree_unflatten([torch.lerp(a, b, DAMPING) for a, b in zip(before, after, strict=True)], shape)
            if all(torch.allclose(a, b, rtol=0, atol=AT_REST) for a, b in zip(before, after, strict=True)):
                break
    return state


def growth(slices: SliceMap, state: Any) -> Tensor:
    """The spectral radius of the step's derivative at a state, for each sample, (N,).

    Power iteration by gradients, as the transposed derivative has the same eigenvalues. The mean growth over the second
    half of the iterations is right for complex pairs too.
    """
    before, shape = tree_flatten(tree_map(lambda values: values.detach().clone().requires_grad_(), state))
    if not before:  # nothing is remembered from one slice to the next
        return torch.zeros(1)
    with torch.enable_grad(), holding(loop.layer for loop in slices.loops):
        after, _ = tree_flatten(slices.step(tree_unflatten(before, shape)))
    acted_on = [each.requires_grad for each in after]
    random = torch.Generator().manual_seed(0)
    v = [torch.rand(each.shape, generator=random).to(each) - 0.5 for each in before]
    logs = []
    for _ in range(POWER_STEPS):
        size = torch.stack([each.flatten(1).square().sum(1) for each in v]).sum(0).sqrt().clamp(min=SMALLEST)
        logs.append(size.log())
        v = [each / size.view(-1, *(1,) * (each.ndim - 1)) for each in v]
        sent_back = [each for each, acts in zip(v, acted_on, strict=True) if acts]
        if not sent_back:
            return torch.zeros_like(size)
        ends = [each for each in after if each.requires_grad]
        found = torch.autograd.grad(ends, before, sent_back, retain_graph=True, allow_unused=True)
        v = [torch.zeros_like(b) if each is None else each for b, each in zip(before, found, strict=True)]
    return torch.stack(logs[POWER_STEPS // 2 :]).mean(0).exp()
