"""Who connects to whom: rules that say which synapses a projection has.

Rules combine with ``&``: ``Sparse(0.1) & WithinDistance(3)`` is a tenth of the pairs at most three steps apart.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from conductance.checked import checked
from conductance.circuits.places import Places, distances
from conductance.circuits.quantities import is_positive
from conductance.errors import InputError


class Rule:
    """Which synapses there are, of those that are allowed. A subclass defines `choose`."""

    counts = False
    """Whether the rule counts synapses, so that it comes after all rules that only allow them."""

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """A part of ``allowed``, (target units, source units), bool."""
        raise NotImplementedError

    def __and__(self, other: "Rule") -> "Rule":
        return Both(self, other)


class Both(Rule):
    """What two rules both allow; a rule that counts synapses (`InDegree`) counts those that the others allow."""

    def __init__(self, *rules: Rule) -> None:
        for rule in rules:
            if not isinstance(rule, Rule):
                raise InputError(f"{rule!r} is no connectivity rule; rules combine with &")
        flat: list[Rule] = []
        for rule in rules:
            flat += rule.rules if isinstance(rule, Both) else [rule]
        self.rules: tuple[Rule, ...] = tuple(sorted(flat, key=lambda rule: rule.counts))

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """What is left after each rule in turn."""
        for rule in self.rules:
            allowed = rule.choose(allowed, source, target)
        return allowed


class Dense(Rule):
    """Every pair."""

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """All that is allowed."""
        del source, target
        return allowed


class OneToOne(Rule):
    """The first neuron to the first, the second to the second, and so on."""

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """The diagonal.

        Raises:
            InputError: the populations differ in size.
        """
        if source.units != target.units:
            raise InputError(
                f"one-to-one needs populations of one size, but the source has {source.units} neurons and the target "
                f"{target.units}"
            )
        return allowed & torch.eye(source.units, dtype=torch.bool, device="cpu")


class WithoutAutapses(Rule):
    """Every pair but a neuron and itself; for projections from a population onto itself."""

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """All but the diagonal."""
        del source, target
        return allowed & ~torch.eye(*allowed.shape, dtype=torch.bool, device="cpu")


class _Probability(Rule):
    """Each pair with a probability of its own, drawn from torch's generator when the circuit is built."""

    def probability(self, source: Places, target: Places) -> Tensor | float:
        raise NotImplementedError

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """What was drawn."""
        draws = torch.rand(allowed.shape, dtype=torch.float64, device="cpu")
        return allowed & (draws < self.probability(source, target))


class Sparse(_Probability):
    """Each pair with the same probability.

    Args:
        share: the probability, in (0, 1].

    Raises:
        InputError: it is out of range.
    """

    @checked
    def __init__(self, share: float) -> None:
        self.share = _share("Sparse", share)

    def probability(self, source: Places, target: Places) -> float:
        """The same for all."""
        del source, target
        return self.share


class Gaussian(_Probability):
    r"""Probability :math:`p_0 \exp(-d^2 / 2 w^2)` at distance d.

    Args:
        width: w, in steps of the source's grid, > 0.
        peak: p_0 in (0, 1].
        wrap: whether opposite edges of the grid touch.

    Raises:
        InputError: a number is out of range.
    """

    @checked
    def __init__(self, width: float, peak: float = 1.0, *, wrap: bool = False) -> None:
        self.width, self.peak, self.wrap = _length("Gaussian", width), _share("Gaussian", peak), wrap

    def probability(self, source: Places, target: Places) -> Tensor:
        """By distance."""
        return self.peak * torch.exp(-distances(source, target, self.wrap).square() / (2 * self.width**2))


class Exponential(_Probability):
    r"""Probability :math:`p_0 \exp(-d / l)` at distance d.

    Args:
        length: l, in steps of the source's grid, > 0.
        peak: p_0 in (0, 1].
        wrap: whether opposite edges of the grid touch.

    Raises:
        InputError: a number is out of range.
    """

    @checked
    def __init__(self, length: float, peak: float = 1.0, *, wrap: bool = False) -> None:
        self.length, self.peak, self.wrap = _length("Exponential", length), _share("Exponential", peak), wrap

    def probability(self, source: Places, target: Places) -> Tensor:
        """By distance."""
        return self.peak * torch.exp(-distances(source, target, self.wrap) / self.length)


class WithinDistance(Rule):
    """Pairs at most ``radius`` apart: a local receptive field whose synapses are not shared.

    Args:
        radius: in steps of the source's grid, > 0.
        wrap: whether opposite edges of the grid touch.

    Raises:
        InputError: the radius is out of range.
    """

    @checked
    def __init__(self, radius: float, *, wrap: bool = False) -> None:
        self.radius, self.wrap = _length("WithinDistance", radius), wrap

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """The neighbors."""
        return allowed & (distances(source, target, self.wrap) <= self.radius)


class InDegree(Rule):
    """As many synapses for every target neuron, from sources drawn without repetition.

    Args:
        synapses: their number, 1 or more.

    Raises:
        InputError: the number is out of range.
    """

    counts = True

    @checked
    def __init__(self, synapses: int) -> None:
        if not (isinstance(synapses, int) and synapses >= 1):
            raise InputError(f"InDegree({synapses}): give a whole number of synapses, 1 or more")
        self.synapses = synapses

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """The drawn ones.

        Raises:
            InputError: a neuron has fewer sources to choose from.
        """
        del source, target
        fewest = int(allowed.sum(1).min())
        if fewest < self.synapses:
            raise InputError(
                f"InDegree({self.synapses}): a target neuron has only {fewest} sources to choose from; lower the "
                "number, or loosen the rules beside it"
            )
        draws = torch.rand(allowed.shape, dtype=torch.float64, device="cpu").masked_fill(~allowed, -1)
        return torch.zeros_like(allowed).scatter(1, draws.topk(self.synapses, 1).indices, True)


class Blocks(_Probability):
    """A probability for each pair of classes of neurons; a class is a run of neighbors in the order of neurons.

    Args:
        shares: probabilities in [0, 1], one row for each class of targets, one column for each class of sources.
        target: how many neurons each class of targets has; equal parts by default.
        source: likewise of the sources.

    Raises:
        InputError: no matrix, or a probability out of range.
    """

    @checked
    def __init__(
        self,
        shares: Sequence[Sequence[float]] | Tensor,
        *,
        target: Sequence[int] | None = None,
        source: Sequence[int] | None = None,
    ) -> None:
        self.shares = _matrix("Blocks", shares)
        if self.shares.ndim != 2 or not bool(((self.shares >= 0) & (self.shares <= 1)).all()):
            raise InputError("Blocks: give a matrix of probabilities in [0, 1], one row for each class of targets")
        self.target, self.source = target, source

    def probability(self, source: Places, target: Places) -> Tensor:
        """Block by block."""
        rows = _classes("targets", target.units, self.shares.shape[0], self.target)
        columns = _classes("sources", source.units, self.shares.shape[1], self.source)
        return self.shares[rows][:, columns]


class Mask(Rule):
    """The synapses that a matrix says.

    Args:
        mask: (target units, source units), nonzero where there is a synapse.

    Raises:
        InputError: no matrix.
    """

    @checked
    def __init__(self, mask: Tensor | Sequence[Sequence[float]]) -> None:
        self.mask = _matrix("Mask", mask) != 0
        if self.mask.ndim != 2:
            raise InputError(f"Mask: the shape is {tuple(self.mask.shape)}; give (target neurons, source neurons)")

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """The given ones.

        Raises:
            InputError: the matrix does not fit the populations.
        """
        if self.mask.shape != (target.units, source.units):
            raise InputError(
                f"the mask has the shape {tuple(self.mask.shape)}, but the target has {target.units} neurons and the "
                f"source {source.units}"
            )
        return allowed & self.mask


class Convolution(Rule):
    """The same kernel at every point of the grid, as in a convolutional layer (paper eq. 6).

    All projections onto a convolutional population have the same kernel size, stride and padding.

    Args:
        kernel_size: in points of the source's grid, a number or one for each axis.
        stride: likewise.
        padding: likewise; by default half the kernel, so that stride 1 keeps the size of the grid.

    Raises:
        InputError: a number is out of range.
    """

    @checked
    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | None = None,
    ) -> None:
        half = kernel_size // 2 if isinstance(kernel_size, int) else tuple(n // 2 for n in kernel_size)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, half if padding is None else padding
        for name, value, least in (
            ("kernel_size", kernel_size, 1),
            ("stride", stride, 1),
            ("padding", self.padding, 0),
        ):
            if any(n < least for n in ((value,) if isinstance(value, int) else value)):
                raise InputError(f"Convolution: {name}={value}; give {least} or more")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Convolution) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.kernel_size, self.stride, self.padding))

    def per_axis(self, axes: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel size, stride and padding, one number for each axis.

        Raises:
            InputError: they are for another number of axes.
        """
        values = tuple(
            (value,) * axes if isinstance(value, int) else tuple(value)
            for value in (self.kernel_size, self.stride, self.padding)
        )
        if any(len(value) != axes for value in values):
            raise InputError(f"Convolution({self.kernel_size}): the grid has {axes} axes; give one number for each")
        return values[0], values[1], values[2]

    def output_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """The grid that a source's grid leads to."""
        kernel, stride, padding = self.per_axis(len(grid))
        return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(grid, kernel, stride, padding, strict=True))

    def choose(self, allowed: Tensor, source: Places, target: Places) -> Tensor:
        """Never called for a convolution alone.

        Raises:
            InputError: the rule is combined with another.
        """
        del allowed, source, target
        raise InputError("Convolution shares its synapses over the grid, so it combines with no other rule")


def _matrix(rule: str, values: Tensor | Sequence[Sequence[float]]) -> Tensor:
    """As numbers on the CPU."""
    try:
        matrix = torch.as_tensor(values).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{rule}: give a matrix of numbers, with rows of one length") from None
    if bool(matrix.isnan().any()):
        raise InputError(f"{rule}: the matrix holds NaN")
    return matrix


def _share(rule: str, share: float) -> float:
    if not (is_positive(share) and share <= 1):
        raise InputError(f"{rule}: the probability {share} must lie in (0, 1]")
    return share


def _length(rule: str, length: float) -> float:
    if not is_positive(length):
        raise InputError(f"{rule}: the length {length} must be above 0, in steps of the grid")
    return length


def _classes(kind: str, units: int, number: int, sizes: Sequence[int] | None) -> Tensor:
    """The class of each neuron, (units,)."""
    if sizes is None:
        sizes = [units // number + (each < units % number) for each in range(number)]
    if len(sizes) != number or min(sizes, default=0) < 0 or sum(sizes) != units:
        raise InputError(f"Blocks: {number} classes of {kind} with sizes {list(sizes)}, but there are {units} neurons")
    return torch.arange(number, device="cpu").repeat_interleave(torch.tensor(sizes, device="cpu"))
