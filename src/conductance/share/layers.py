"""Layers of conductances in plain values: sizes, valences, form, leak, gate."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conductance import nn as cnn
from conductance.nn.base import PER_UNIT, AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.nonnegative import NONNEGATIVE
from conductance.share.kinds import Kind, Modules, Options, dtype_of, plain, with_dtype
from conductance.transform.build import return_copies, returns_copies

Runs = list[list[float | int]]

_SAID_OTHERWISE = {"bias", "padding_mode", "excitatory_share", "device", "dtype", "interneurons", "learn_gate"}
_RESTING = ("resting_conductance", "resting_potential")
# What a file may hold: about the number of units of the largest layer there has been.
_MOST_UNITS = 10_000_000


def averaging(module: type[AveragingLayer]) -> Kind:
    """The kind of a layer that averages."""

    def build(options: Options, modules: Modules) -> nn.Module:
        del modules
        return build_averaging(module, options)

    return Kind(module.__name__, module, describe_averaging, build)


def describe_averaging(layer: AveragingLayer) -> Options:
    """What a layer that averages was made with, and what has been set since."""
    resting_conductance, resting_potential = layer.initial_resting  # numbers, None, or "per unit"
    known: dict[str, Any] = {
        "in_features": layer.in_channels,
        "out_features": layer.out_channels,
        "resting_conductance": resting_conductance,
        "resting_potential": resting_potential,
        **layer.convolution,
    }
    if isinstance(layer, ConductanceLayer):
        known |= {
            "kernel_size": layer.g.shape[2:],
            "valence": runs_of(layer.presynaptic.runs),
            "unit_valence": runs_of_values(layer.unit_valence),
        }
    elif isinstance(layer, cnn.SignedLayer):
        known["kernel_size"] = layer.weight.shape[2:]
    names = [name for name in inspect.signature(type(layer).__init__).parameters if name != "self"]
    found = {
        name: plain(known[name] if name in known else getattr(layer, name))
        for name in names
        if name not in _SAID_OTHERWISE
    }
    if isinstance(layer, (cnn.LateralLinear, cnn.LateralConv2d)):
        found["interneurons"] = layer.interneurons.out_channels / layer.out_channels
    if PER_UNIT in layer.initial_resting:
        found["leak"] = _initial_leak(layer)
    if isinstance(layer.gate, cnn.Gate):
        found["gate"] = describe_gate(layer.gate)
        found["learn_gate"] = list(layer._modules)[1] == "gate"  # made with it; otherwise it was put there later
    if returns_copies(layer):
        found["returns_copies"] = True
    return found | dtype_of(layer)


def build_averaging(module: type[AveragingLayer], options: Options) -> AveragingLayer:
    """A layer that averages, of what `describe_averaging` says."""
    rest: Options = {name: values_of(value) if "valence" in name else value for name, value in options.items()}
    gate, copies, leak = rest.pop("gate", None), rest.pop("returns_copies", False), rest.pop("leak", None)
    said = tuple(rest[name] for name in _RESTING)
    if leak is not None:
        rest |= zip(_RESTING, torch.tensor(leak, dtype=torch.float64, device="cpu"), strict=True)
    layer = module(**with_dtype(rest))
    layer.initial_resting = said
    if gate is not None:
        layer.gate = build_gate(gate)
    if copies:
        return_copies(layer)
    return layer


def _initial_leak(layer: AveragingLayer) -> list[list[float]]:
    """G_r and e_r of each unit as the layer was made with them, which `reset_parameters` returns to."""
    leak = layer.leak
    excitatory, inhibitory = NONNEGATIVE[leak.form].conductance(leak.initial.double()) + leak.least
    total = excitatory + inhibitory
    return [total.tolist(), ((excitatory - inhibitory) / total).tolist()]


# Valences: as runs of one value ---------------------------------------------------------------------------------------


def runs_of(runs: Sequence[tuple[float, int]]) -> Runs:
    """Runs as JSON holds them: [[valence, how many], ...]."""
    return [[valence, number] for valence, number in runs]


def runs_of_values(values: Tensor) -> Runs:
    """The runs of a vector of valences."""
    distinct, counts = values.unique_consecutive(return_counts=True)
    return runs_of(list(zip(distinct.tolist(), counts.tolist(), strict=True)))


def values_of(runs: Any) -> Tensor:
    """The inverse of `runs_of_values`.

    Raises:
        ValueError: more units than any network has.
    """
    counts = [int(number) for _, number in runs]
    if sum(counts) > _MOST_UNITS or min(counts, default=0) < 0:
        raise ValueError(f"valences of {sum(counts)} channels")
    values = torch.tensor([float(valence) for valence, _ in runs], dtype=torch.float64, device="cpu")
    return values.repeat_interleave(torch.tensor(counts, dtype=torch.int64, device="cpu"))


# Gates ----------------------------------------------------------------------------------------------------------------

_GATES: dict[str, type[cnn.Gate]] = {"Gate": cnn.Gate, "LogisticGate": cnn.LogisticGate}


def describe_gate(gate: cnn.Gate) -> Options:
    """A gate, and where it started."""
    threshold, log_width = gate.start
    return {
        "kind": type(gate).__name__,
        "units": gate.shape[0],
        "axes": len(gate.shape) - 1,
        "threshold": threshold,
        "log_width": log_width,
        "learn": "threshold" in gate._parameters,
        **dtype_of(gate),
    }


def build_gate(options: Options) -> cnn.Gate:
    """The inverse of `describe_gate`."""
    rest = with_dtype(options)
    kind, axes, start = rest.pop("kind"), rest.pop("axes"), (rest["threshold"], rest.pop("log_width"))
    gate = _GATES[kind](channel_axis=-1 - axes, **rest)
    gate.start = start
    return gate


# What stands around layers --------------------------------------------------------------------------------------------


def _describe_scaled(module: cnn.ScaledInput) -> Options:
    return {"grows": module.grows}


def _scaled(module: type[cnn.ScaledInput]) -> Kind:
    def build(options: Options, modules: Modules) -> nn.Module:
        layer = modules["layer"]
        if not isinstance(layer, ConductanceLayer):
            raise TypeError("what it scales is no layer of conductances")
        return module(layer, grows=options["grows"])

    return Kind(module.__name__, module, _describe_scaled, build, holds=True)


def _describe_junction(junction: cnn.GapJunction) -> Options:
    return {"channels": len(junction.log_conductance), **dtype_of(junction)}


def _build_junction(options: Options, modules: Modules) -> nn.Module:
    del modules
    return cnn.GapJunction(conductance=1.0, **with_dtype(options))


LAYER_KINDS = (
    *map(
        averaging,
        (
            cnn.CWALinear,
            cnn.CWAConv1d,
            cnn.CWAConv2d,
            cnn.CWAConv3d,
            cnn.LateralLinear,
            cnn.LateralConv2d,
            cnn.AbsNormLinear,
            cnn.AbsNormConv2d,
        ),
    ),
    _scaled(cnn.ScaledInput),
    _scaled(cnn.SignedInput),
    Kind("GapJunction", cnn.GapJunction, _describe_junction, _build_junction),
)
