"""Other pooled interneurons than the product's: modules that stand behind a layer and take its z to p."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.models.resnet import ResidualBlock
from conductance.nn import ConductanceLayer


class Pool(nn.Module):
    """One interneuron for all units of a position, as the product has it, by a formula that variants change.

    Args:
        layer: the layer behind which it stands; its units lie along ``layer.channel_axis``.
    """

    def __init__(self, layer: ConductanceLayer) -> None:
        super().__init__()
        self.axis = layer.channel_axis

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        return z.mean(self.axis, keepdim=True)

    def act(self, z: Tensor, m: Tensor) -> Tensor:
        """What m leaves of z."""
        return (z - m) / (1 + m.abs())

    def forward(self, z: Tensor) -> Tensor:
        """Membrane potentials to open probabilities."""
        return self.act(z, self.mean(z)).relu()


class Subtractive(Pool):
    """z - m, which is no average: it leaves [-1, 1]."""

    def act(self, z: Tensor, m: Tensor) -> Tensor:
        """What m leaves of z."""
        return z - m


class AllPositions(Pool):
    """One interneuron for a whole layer, at the mean over units and positions."""

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        return z.mean(list(range(self.axis % z.ndim, z.ndim)), keepdim=True)


class TwoPools(Pool):
    """One interneuron for the excitatory units and one for the inhibitory ones."""

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        return torch.cat(
            [half.mean(self.axis, keepdim=True).expand_as(half) for half in z.chunk(2, self.axis)], self.axis
        )


class EightGroups(Pool):
    """Eight interneurons, each for every eighth unit, of both kinds."""

    groups = 8

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        groups = self.groups if z.shape[self.axis] % self.groups == 0 else 4
        apart = z.unflatten(self.axis, (-1, groups))
        return apart.mean(self.axis - 1, keepdim=True).expand_as(apart).flatten(self.axis - 1, self.axis)


class LearntPooling(Pool):
    """An interneuron that weighs the units: conductances w >= 0 are learnt, from equal ones."""

    def __init__(self, layer: ConductanceLayer) -> None:
        super().__init__(layer)
        self.w = nn.Parameter(torch.ones(layer.out_channels, *(1,) * (-1 - self.axis)))

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        w = self.w + (self.w.clamp(min=0) - self.w).detach()  # clamped where it is read, the gradient whole
        return (w * z).sum(self.axis, keepdim=True) / w.sum().clamp(min=1e-3)


class LearntStrength(Pool):
    """A conductance of a |m|, with one a >= 0 learnt for each layer, from 1."""

    def __init__(self, layer: ConductanceLayer) -> None:
        super().__init__(layer)
        self.strength = nn.Parameter(torch.ones(()))

    def act(self, z: Tensor, m: Tensor) -> Tensor:
        """What m leaves of z."""
        am = self.strength.clamp(min=0) * m
        return (z - am) / (1 + am.abs())


class Recurrent(Pool):
    r"""The interneuron reads what it acts on, at rest: m is the mean of z', not of z.

    With M the mean of z, :math:`m (1 + a|m|) + a m = M`.
    """

    strength = 1.0

    def mean(self, z: Tensor) -> Tensor:
        """a m, in a shape that broadcasts with z."""
        M, a = super().mean(z), self.strength
        size = (((1 + a) ** 2 + 4 * a * M.abs()).sqrt() - (1 + a)) / 2
        return M.sign() * size


class StronglyRecurrent(Recurrent):
    """The same with eight times the conductance."""

    strength = 8.0


class TwoSlices(Pool):
    """The interneuron acts a slice of time later, twice: at first z is pooled, then z by the mean of what was left."""

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        return super().mean(self.act(z, super().mean(z)))


class Divisive(Pool):
    """A second interneuron, at the mean size of what is left, shunts all units (reversal potential 0)."""

    def act(self, z: Tensor, m: Tensor) -> Tensor:
        """What m leaves of z."""
        left = super().act(z, m)
        return left / (1 + left.abs().mean(self.axis, keepdim=True))


class ReadsWhatIsSent(Pool):
    """The interneuron sits at the mean of p, what the units send, and takes twice that away."""

    def mean(self, z: Tensor) -> Tensor:
        """m, in a shape that broadcasts with z."""
        return 2 * super().mean(z.relu())


VARIANTS: dict[str, Callable[[ConductanceLayer], Pool]] = {
    "z - m": Subtractive,
    "all positions": AllPositions,
    "two pools": TwoPools,
    "eight groups": EightGroups,
    "learnt pooling": LearntPooling,
    "learnt strength": LearntStrength,
    "recurrent": Recurrent,
    "recurrent, 8 times as strong": StronglyRecurrent,
    "two slices": TwoSlices,
    "divisive as well": Divisive,
    "reads p": ReadsWhatIsSent,
}


class PooledSum(nn.Module):
    """A residual block whose pooled interneuron reads and acts on what branch and shortcut have joined to.

    Args:
        block: with pooled interneurons in its layers; its first layer keeps its own.
    """

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        assert block.join == "mean"
        self.block = block
        for layer in (block.second, block.shortcut):
            if isinstance(layer, ConductanceLayer):
                layer.pooled_interneuron = False

    def forward(self, p: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        z = (self.block.second(self.block.first(p)) + self.block.shortcut(p)) / 2
        return functional.pooled_interneuron(z, -3, "relu")


def pool_sums(network: nn.Module) -> None:
    """Let the pooled interneurons of a ResNet act after its residual sums instead of before them."""
    for name, block in list(network.named_modules()):
        if isinstance(block, ResidualBlock):
            network.set_submodule(name, PooledSum(block))


def with_variant(hidden: nn.Module, variant: str) -> None:
    """Put a variant behind each layer of a sequence, which then hands on z."""
    assert isinstance(hidden, nn.Sequential)
    for i, layer in enumerate(hidden):
        assert isinstance(layer, ConductanceLayer)
        layer.activation = None
        hidden[i] = nn.Sequential(layer, VARIANTS[variant](layer))
