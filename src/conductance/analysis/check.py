"""One report about every layer of conductances: signs, valences, ranges, dead units, balance."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from conductance.analysis.internals import CONDUCTANCE_EDGES, counts
from conductance.analysis.validate import SATURATED, Validation, validate
from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import state
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.modes import evaluating, require_module, run_example
from conductance.nn.units import Reading, read_valences
from conductance.nonnegative import NONNEGATIVE
from conductance.ranges import Extent, extent
from conductance.text_table import table

# Of samples and positions together, so many rows are enough for singular values.
_ROWS = 4096


@dataclass
class LayerCheck:
    """One layer of conductances. What needs a batch is None without one.

    Attributes:
        name: in the model.
        kind: its class.
        units: how many.
        synapses: how many, those to a doubled input counted twice.
        conductance: the smallest and the largest G.
        excitatory: the share of its units that excite; None where only weights are known.
        histograms: how many excitatory and inhibitory conductances lie between the edges
            `internals.CONDUCTANCE_EDGES`.
        agrees: whether it reads all units as what they are.
        strict: whether each unit that it reads excites, or inhibits, all that read it here: not where a doubled input
            reads units twice.
        input: the range of what it was given.
        output: the range of what it returned.
        dead: the share of its units that were open for no sample.
        saturated: the share whose potential was at the end of its range for all samples.
        silent: the share that no open synapse reached on any sample.
        balance: mean E' / mean I' of each unit.
        leak_share: the leak's share of the conductance that was open, on average.
        singular_values: of its potentials z, samples and positions by units, largest first.
        problems: what is wrong, in words.
    """

    name: str
    kind: str
    units: int
    synapses: int
    conductance: tuple[float, float]
    excitatory: float | None
    histograms: dict[str, list[int]]
    agrees: bool | None = None
    strict: bool | None = None
    input: tuple[float, float] | None = None
    output: tuple[float, float] | None = None
    dead: float | None = None
    saturated: float | None = None
    silent: float | None = None
    balance: list[float] | None = None
    leak_share: float | None = None
    singular_values: list[float] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def effective_rank(self) -> float | None:
        """exp of the entropy of the singular values, as shares of their sum: how many directions z uses."""
        total = sum(self.singular_values or [])
        if not total or not self.singular_values:
            return None
        return math.exp(-sum(s / total * math.log(s / total) for s in self.singular_values if s > 0))


@dataclass
class CheckReport:
    """What `check` found; ``print`` shows it as a table.

    Attributes:
        layers: the layers of conductances, in the order in which they ran, or were defined.
        problems: what is wrong, in words, a line each.
    """

    layers: list[LayerCheck]
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def strict_dale(self) -> bool | None:
        """Whether every unit excites, or inhibits, all that read it; None where no batch showed who reads whom."""
        known = [layer.strict for layer in self.layers if layer.strict is not None]
        return all(known) if known else None

    @property
    def not_strict(self) -> list[str]:
        """The layers that read units twice, or as something else than they are."""
        return [layer.name for layer in self.layers if layer.strict is False]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, which JSON can hold."""
        layers = [{**asdict(layer), "effective_rank": layer.effective_rank} for layer in self.layers]
        return {"ok": self.ok, "strict_dale": self.strict_dale, "problems": self.problems, "layers": layers}

    def __str__(self) -> str:
        lines = table(_HEADINGS, [_row(layer) for layer in self.layers])
        strict = {True: "yes", False: f"no: {', '.join(self.not_strict)}", None: "not known without a batch"}
        lines += ["", f"strict Dale's law: {strict[self.strict_dale]}"]
        return "\n".join([*lines, *(f"problem: {line}" for line in self.problems), "ok" if self.ok else "not ok"])


@checked
def check(model: nn.Module, batch: Any = None) -> CheckReport:
    """Check every layer of conductances in a model.

    >>> report = conductance.check(model, images)  # doctest: +SKIP
    >>> assert report.ok  # doctest: +SKIP

    Without a batch: conductances are finite and not negative, and no attention of torch multiplies by them. With one,
    run in evaluation mode: inputs lie in [0, 1], outputs in [-1, 1]; every unit is read as what it is, or twice; not
    nearly all units of a layer are dead or saturated. The model is left as it was, so that a training loop may check
    its own.

    Args:
        model: any module with layers of conductances.
        batch: its input, in any form that `observe` takes; some hundred samples are enough.

    Raises:
        InputError: the model has no layers of conductances, or does not take the batch.
    """
    require_module(model)
    layers = {layer: name for name, layer in model.named_modules() if isinstance(layer, ConductanceLayer)}
    if not layers:
        raise InputError("the model has no layers of conductances to check")
    found = {layer: _at_rest(name, layer) for layer, name in layers.items()}
    problems = _multiplied(model)
    if batch is None or problems:  # with such a layer the model does not run
        for each in found.values():
            _judge_conductances(each)
    else:
        seen, judged = _run(model, batch)
        for layer, values in seen.items():
            _add_activity(found[layer], layer, values)
        found = {layer: found[layer] for layer in (*seen, *found)}
        problems = judged.problems
        # Interneurons are a layer's own: they read potentials, whatever its units are to others.
        interneurons = {part for layer in layers for part in layer.modules() if part is not layer}
        for reading in read_valences(model, batch) if not problems else ():
            if reading.layer in seen and reading.layer not in interneurons:
                _add_valences(found[reading.layer], reading)
        for layer in set(found) - set(seen):  # one that does not run on the batch
            _judge_conductances(found[layer])
    problems = [*problems, *(line for each in found.values() for line in each.problems)]
    return CheckReport(list(found.values()), problems)


def _multiplied(model: nn.Module) -> list[str]:
    """Layers whose weights a module of torch would multiply by, without calling them."""
    return [
        f"layer {name}.out_proj averages, but nn.MultiheadAttention multiplies by its weights without calling it; keep "
        "a torch.nn.Linear there"
        for name, part in model.named_modules()
        if isinstance(part, nn.MultiheadAttention)
        and any(isinstance(each, ConductanceLayer) for each in part.out_proj.modules())
    ]


def _at_rest(name: str, layer: ConductanceLayer) -> LayerCheck:
    G = layer.conductance.detach()
    excitatory = (layer.presynaptic.per_synapse(G) > 0).expand_as(G)
    return LayerCheck(
        name=name,
        kind=type(layer).__name__,
        units=layer.out_channels,
        synapses=G.numel(),
        conductance=_bounds(extent(G)),
        excitatory=float((layer.unit_valence > 0).double().mean()),
        histograms={
            "excitatory": counts(G[excitatory].nan_to_num(), CONDUCTANCE_EDGES),
            "inhibitory": counts(G[~excitatory].nan_to_num(), CONDUCTANCE_EDGES),
        },
    )


def _bounds(seen: Extent) -> tuple[float, float]:
    return seen.low, seen.high


def _judge_conductances(found: LayerCheck) -> None:
    seen = Extent(*found.conductance)
    if not seen.within(0.0, torch.finfo(torch.float64).max):
        found.problems.append(f"layer {found.name} has conductances of {seen}, which should be finite, not negative")


# On a batch -----------------------------------------------------------------------------------------------------------


@dataclass
class _Activity:
    """What one layer was given and did, over all its calls."""

    input: Extent
    output: Extent
    E: list[Tensor]
    I: list[Tensor]

    def add(self, other: "_Activity") -> None:
        self.input, self.output = _joined(self.input, other.input), _joined(self.output, other.output)
        self.E += other.E
        self.I += other.I


def _joined(a: Extent, b: Extent) -> Extent:
    return a if a.is_nan else b if b.is_nan else Extent(min(a.low, b.low), max(a.high, b.high))


@torch.no_grad()
def _run(model: nn.Module, batch: Any) -> tuple[dict[ConductanceLayer, _Activity], Validation]:
    """One pass, with what each layer averaged; and all that is out of range."""
    seen: dict[ConductanceLayer, _Activity] = {}
    within: list[nn.Module] = []  # a layer's interneurons run again while it is asked for what it averages

    def look(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        assert isinstance(layer, ConductanceLayer)
        if within:
            return
        within.append(layer)
        given = {**dict(zip(("p", "extra_conductances"), args, strict=False)), **kwargs}
        E, I = layer.excitation_inhibition(given["p"], given.get("extra_conductances"))
        within.pop()
        units = [[each.movedim(layer.channel_axis, -1).flatten(0, -2).double()] for each in (E, I)]
        activity = _Activity(extent(given["p"]), extent(output), *units)
        seen[layer].add(activity) if layer in seen else seen.update({layer: activity})

    handles = [
        module.register_forward_hook(look, with_kwargs=True)
        for module in model.modules()
        if isinstance(module, ConductanceLayer)
    ]
    try:
        with warnings.catch_warnings(), evaluating(model):
            warnings.simplefilter("ignore", UserWarning)
            with validate(model, mode="warn") as judged:
                run_example(model, batch, "batch")
    finally:
        for handle in handles:
            handle.remove()
    return seen, judged


def _add_activity(found: LayerCheck, layer: ConductanceLayer, seen: _Activity) -> None:
    E, I = torch.cat(seen.E), torch.cat(seen.I)
    z = ((E - I) / (E + I)).nan_to_num()
    leak = layer.leak().detach().double().sum(0)
    found.input, found.output = _bounds(seen.input), _bounds(seen.output)
    found.dead = _share((z <= 0).all(0)) if layer.activation == "relu" else 0.0
    found.saturated = _share((z.abs() > SATURATED).all(0))
    found.silent = _share((leak * (1 + 1e-6) >= E + I).all(0))
    found.balance = (E.mean(0) / I.mean(0)).tolist()
    found.leak_share = float((leak / (E + I)).mean())
    rows = z[torch.linspace(0, len(z) - 1, min(len(z), _ROWS)).long()]
    found.singular_values = torch.linalg.svdvals(rows).tolist()


def _share(units: Tensor) -> float:
    return float(units.double().mean())


def _add_valences(found: LayerCheck, reading: Reading) -> None:
    reads_units = not bool(reading.valence.isnan().all())
    found.agrees = reading.layer.doubled_input or not (reading.mixed or reading.disagreeing)
    found.strict = found.agrees and not (reading.layer.doubled_input and reads_units)
    wrong = len(set(reading.disagreeing) | set(reading.mixed))
    if not found.agrees:
        found.problems.append(
            f"layer {found.name} reads {wrong} of {reading.layer.in_channels} channels as something else than the "
            "units behind them are; use conductance.nn.assign_valences before training"
        )


# The table ------------------------------------------------------------------------------------------------------------

_HEADINGS = (
    "layer", "units", "G", "E units", "reads", "returns", "dead", "saturated", "silent", "E:I", "leak", "rank",
    "valences",
)  # fmt: skip


def _row(layer: LayerCheck) -> tuple[str, ...]:
    E_to_I = None if layer.balance is None else sorted(layer.balance)[len(layer.balance) // 2]
    valences = {None: "", True: "agree", False: "differ"}[layer.agrees]
    if layer.agrees and not layer.strict:
        valences = "read twice"
    return (
        layer.name or "(the model)",
        str(layer.units),
        _range(layer.conductance),
        _percent(layer.excitatory),
        _range(layer.input),
        _range(layer.output),
        *map(_percent, (layer.dead, layer.saturated, layer.silent)),
        "" if E_to_I is None else f"{E_to_I:.2f}",
        _percent(layer.leak_share),
        "" if layer.effective_rank is None else f"{layer.effective_rank:.1f}",
        valences,
    )


def _range(values: tuple[float, float] | None) -> str:
    return "" if values is None else f"{values[0]:.2g}..{values[1]:.2g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"


# Weights alone --------------------------------------------------------------------------------------------------------


def check_weights(weights: Mapping[str, Tensor]) -> CheckReport:
    """`check` for a state dict: the conductances of all its layers, by what it says of them.

    Raises:
        InputError: it has no layers of conductances that say what they are.
    """
    found = []
    for key, saved in weights.items():
        name = key.removesuffix("_extra_state").removesuffix(".")
        g = weights.get(f"{name}.g" if name else "g")
        if not key.endswith("_extra_state") or g is None:
            continue
        description = state.decode(saved)
        G = NONNEGATIVE[description["nonnegative"]].conductance(g.detach().float())
        line = LayerCheck(name, description["layer"], len(G), G.numel(), _bounds(extent(G)), None, {})
        _judge_conductances(line)
        found.append(line)
    if not found:
        raise InputError("these weights have no layers of conductances that say what they are (version 0.1 did not)")
    return CheckReport(found, [line for each in found for line in each.problems])
