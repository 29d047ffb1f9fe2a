"""Conductances in siemens as a table, for crossbars of memristors and for anything else that reads CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.files import write_atomically
from conductance.finite import require_finite
from conductance.nn import AveragingLayer, ConductanceLayer, SignedLayer

G_MAX = 1e-4
"""The largest conductance of a table in siemens, unless it is given: 100 uS, about the most of an oxide memristor."""

COLUMNS = ("layer", "unit", "input", "excitatory_siemens", "inhibitory_siemens")
LEAK = "leak"


@dataclass(frozen=True)
class ConductanceTable:
    """The conductances of one layer as a crossbar has them.

    A unit has two columns of devices: the currents of the excitatory one add up to E', those of the inhibitory one to
    I', when the voltage on row j is proportional to p_j and that on the row of the leak to 1. z = (E' - I')/(E' + I').

    Attributes:
        layer: its name in the model.
        excitatory: G (1 + e)/2 in siemens, (units, inputs); inputs are numbered as in the flattened
            ``(channels of the unit's group, *kernel)``.
        inhibitory: G (1 - e)/2 in siemens, likewise.
        leak: the leak's excitatory and inhibitory conductance in siemens, (2, units).
        siemens: what a conductance of 1 in the layer stands for. It changes no z, so each layer has its own.
    """

    layer: str
    excitatory: np.ndarray
    inhibitory: np.ndarray
    leak: np.ndarray
    siemens: float


@checked
@torch.no_grad()
def conductance_tables(
    model: nn.Module, *, layers: tuple[str, ...] | None = None, g_max: float = G_MAX
) -> list[ConductanceTable]:
    """The conductances of a network's layers in siemens.

    Args:
        model: any module with layers of conductances, or of signed weights (AbsNorm), whose positive weights excite.
        layers: their names; all by default.
        g_max: the largest conductance of each layer, leak included, in siemens; the others in proportion.

    Raises:
        InputError: the model has no such layers; g_max is not positive and finite; a conductance is not finite, or
            all of a layer are 0.
        UnknownNameError: there is no layer of that name.
    """
    if not 0 < g_max < float("inf"):
        raise InputError(f"g_max={g_max:g}: give the largest conductance in siemens, above 0, such as {G_MAX:g}")
    kinds = (ConductanceLayer, SignedLayer)
    known = {name or "layer": part for name, part in model.named_modules() if isinstance(part, kinds)}
    require_finite(model, "exported")
    if not known:
        raise InputError(f"{type(model).__name__} has no layer of conductances, so there is no table of them")
    for name in layers or ():
        if name not in known:
            raise UnknownNameError("layer", name, known)
    return [_table(name, known[name], g_max) for name in layers or known]


def _table(name: str, layer: AveragingLayer, g_max: float) -> ConductanceTable:
    excitatory, inhibitory = (G.flatten(1).double().cpu() for G in _pair(layer))
    leak = layer.leak().detach().double().cpu()
    leak = leak.where(leak > 1e-20, 0.0)  # none is held as a number that divides no 0 by 0
    largest = max(float(each.max()) for each in (excitatory, inhibitory, leak))
    if not 0 < largest < float("inf"):
        raise InputError(f"layer {name}: its largest conductance is {largest}; it must be above 0 and finite")
    siemens = g_max / largest
    return ConductanceTable(
        name,
        (siemens * excitatory).numpy(),
        (siemens * inhibitory).numpy(),
        (siemens * leak).numpy(),
        siemens,
    )


def _pair(layer: AveragingLayer) -> tuple[Tensor, Tensor]:
    """Every synapse as an excitatory and an inhibitory one that read the same input, ``(units, fan-in, *kernel)``."""
    if isinstance(layer, SignedLayer):
        return layer.weight.clamp(min=0), (-layer.weight).clamp(min=0)
    assert isinstance(layer, ConductanceLayer)
    G = layer.conductance
    e = layer.presynaptic.per_synapse(G)
    excitatory, inhibitory = G * ((1 + e) / 2), G * ((1 - e) / 2)
    if not layer.doubled_input:
        return excitatory, inhibitory
    copies = [sum(each.chunk(2, 1)) for each in (excitatory, inhibitory)]  # of one input, so they add up
    return copies[0], copies[1]  # type: ignore[return-value]


@checked
def export_table(
    model: nn.Module, file: str | Path, *, layers: tuple[str, ...] | None = None, g_max: float = G_MAX
) -> list[ConductanceTable]:
    """Write the conductances of a network as CSV, in siemens.

    The columns are layer, unit, input, excitatory_siemens and inhibitory_siemens: a row for each synapse, in which one
    of the two is 0 where the input excites or inhibits alone; and for each unit a row whose input is "leak". Inputs are
    numbered as in the flattened ``(channels of the unit's group, *kernel)``. Arguments as for `conductance_tables`.

    Raises:
        InputError, UnknownNameError: as `conductance_tables` raises.
        ConductanceError: the file cannot be written.
    """
    tables = conductance_tables(model, layers=layers, g_max=g_max)

    def write(stream: object) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")  # type: ignore[type-var]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for table in tables:
            writer.writerows(_rows(table))
        text.flush()
        text.detach()

    write_atomically(Path(file), write)
    return tables


def _rows(table: ConductanceTable) -> Iterator[tuple[str, int, object, str, str]]:
    for unit, (excitatory, inhibitory) in enumerate(zip(table.excitatory, table.inhibitory, strict=True)):
        for number, (E, I) in enumerate(zip(excitatory, inhibitory, strict=True)):
            yield table.layer, unit, number, f"{E:.7g}", f"{I:.7g}"
        leak_E, leak_I = table.leak[:, unit]
        yield table.layer, unit, LEAK, f"{leak_E:.7g}", f"{leak_I:.7g}"
