"""A run's network simulated as membranes: its potentials over time as a figure, and its accuracy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from conductance.biophysics import MembraneLayer, Simulation, simulate, to_biophysical
from conductance.biophysics.rest import rest
from conductance.biophysics.simulation import Mode
from conductance.data import Dataset
from conductance.errors import InputError
from conductance.extras import import_extra
from conductance.files import write_table, write_text
from conductance.report.potentials_figure import LayerPanel, potentials_figure
from conductance.runs import load_run

UNITS_SHOWN = 5  # of each layer
LAYERS_SHOWN = 4
NEURONS_SHOWN = 40  # of those whose spikes a layer receives


@dataclass(frozen=True)
class SimulatedRun:
    """The result of a simulation.

    Attributes:
        name: of the run.
        accuracies: accuracy, network_accuracy and same_class in %, see `measure_membranes`.
        layers: for each layer its number of units, its name, and the rms and greatest distance of its potentials from
            eq. 1 (mV).
        files: the figure and the table that were written.
    """

    name: str
    accuracies: dict[str, float]
    layers: list[dict[str, Any]]
    files: tuple[Path, Path]


@torch.no_grad()
def simulate_run(
    run: Path,
    out: Path,
    *,
    images: int,
    duration: float,
    mode: Mode,
    step: float,
    rate_max: float,
    total_conductance: float,
    seed: int,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> SimulatedRun:
    """Run a trained network as membranes with test images; write ``potentials.svg`` and ``potentials.csv`` to ``out``.

    The files show the first image: V(t) in mV of some units of some layers, from the lowest to the highest potential by
    eq. 1; in the figure beside thresholds and reversal potentials, and above the spikes of some neurons that the layer
    reads. Potentials and logits are taken at the end (constant) or as the mean over the second half (spiking).

    Args:
        run: folder of a finished run.
        out: folder for the files.
        images: how many test images, from the first on.
        duration, mode, step, rate_max: as for `simulate`.
        total_conductance: as for `to_biophysical`, averaged over these images.
        seed: of the spikes.
        data_dir: where to look for the data set first.
        console: where to show a progress bar; None for no bar.

    Raises:
        InputError: fewer than one image, a seed outside [0, 2^63), or a network without conductance layers; or as
            `simulate` raises.
        RunError, DataError: as `load_run` raises.
    """
    if images < 1:
        raise InputError(f"images={images}: give at least 1")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed={seed}: must lie in [0, 2^63)")
    import_extra("matplotlib", "to draw potentials", "report")
    trained = load_run(run, data_dir)
    inputs = trained.preprocessing(trained.dataset.test.pixels[:images])
    membranes = to_biophysical(trained.network, total_conductance=total_conductance, images=inputs)
    steady = membranes.steady_state(inputs)
    shown = {name: _spread(steady[name][0].flatten()) for name in _some(list(steady))}
    resting, _ = rest(membranes, (inputs[:1],))
    senders = {f"onto {name}": _sending(resting[name].p.flatten()) for name in shown} if mode == "spiking" else {}
    with Progress(console=console, disable=console is None, transient=True) as bar:
        task = bar.add_task(
            f"{len(inputs)} images", total=round(duration / step) if 0 < step <= duration < math.inf else None
        )
        result = simulate(
            membranes,
            inputs,
            duration,
            mode=mode,
            step=step,
            rate_max=rate_max,
            generator=torch.Generator().manual_seed(seed),
            units={**shown, **senders},
            record=("potential", "spikes"),
            average_from=duration / 2 if mode == "spiking" else duration,
            on_step=lambda: bar.advance(task),
        )
    chosen, expected = result.mean_logits.argmax(1), trained.network(inputs).argmax(1)
    panels = [_panel(membranes.by_name[name], units, steady[name], result) for name, units in shown.items()]
    return SimulatedRun(
        trained.config.name,
        compare_choices(chosen, expected, trained.dataset.test.labels[:images]),
        [
            {"units": V[0].numel(), **distance_from_eq1(name, result.mean_potential[name] - V)}
            for name, V in steady.items()
        ],
        (
            _write_figure(out / "potentials.svg", result.time.tolist(), panels, trained.dataset, int(chosen[0])),
            _write_table(out / "potentials.csv", result.time.tolist(), panels),
        ),
    )


def _write_figure(file: Path, time: list[float], panels: list[LayerPanel], dataset: Dataset, chosen: int) -> Path:
    """The first test image, its class and the chosen one, and the layers' potentials."""
    image = (dataset.test.pixels[0] / 255).movedim(0, -1).squeeze(-1).numpy()
    caption = f"shown: {dataset.classes[int(dataset.test.labels[0])]}\nchosen: {dataset.classes[chosen]}"
    write_text(file, potentials_figure(time, panels, image, caption))
    return file


def _write_table(file: Path, time: Sequence[float], panels: Sequence[LayerPanel]) -> Path:
    columns: dict[str, Sequence[float]] = {"time": time}
    for panel in panels:
        columns |= {f"{panel.name}/{unit}": V for unit, V in zip(panel.units, panel.potentials, strict=True)}
    rows = zip(*columns.values(), strict=True)
    write_table(file, list(columns), (dict(zip(columns, row, strict=True)) for row in rows))
    return file


def _some(names: list[str]) -> list[str]:
    """At most `LAYERS_SHOWN`, the first and the last among them."""
    places = torch.linspace(0, len(names) - 1, min(len(names), LAYERS_SHOWN)).round().int().tolist()
    return [names[place] for place in places]


def _spread(potential: Tensor) -> list[int]:
    """Units from the lowest to the highest potential, at most `UNITS_SHOWN`."""
    places = torch.linspace(0, len(potential) - 1, min(len(potential), UNITS_SHOWN)).round().long()
    return potential.argsort()[places].tolist()


def _sending(p: Tensor) -> list[int]:
    """Neurons with p > 0, in their order, at most `NEURONS_SHOWN`."""
    active = (p > 0).nonzero().flatten()
    places = torch.linspace(0, len(active) - 1, min(len(active), NEURONS_SHOWN)).round().long()
    return active[places].tolist()


def _panel(layer: MembraneLayer, units: list[int], steady: Tensor, result: Simulation) -> LayerPanel:
    """What is drawn of a layer, for the first image."""
    threshold = layer.threshold
    fired = result.spikes.get(f"onto {layer.name}")
    spikes = () if fired is None else [result.time[counts > 0].tolist() for counts in fired[:, 0].T]
    return LayerPanel(
        layer.name,
        units,
        result.potential[layer.name][:, 0].T.tolist(),
        steady[0].flatten()[units].tolist(),
        layer.reversal_potential.unique().tolist(),
        None if threshold is None else threshold.mean().item(),
        spikes,
    )


def compare_choices(chosen: Tensor, expected: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy of membranes and of their network, and how often both choose the same class, in %."""
    labels = labels[: len(chosen)]
    pairs = {"accuracy": (chosen, labels), "network_accuracy": (expected, labels), "same_class": (chosen, expected)}
    return {name: round(100 * (a == b).double().mean().item(), 2) for name, (a, b) in pairs.items()}


def distance_from_eq1(name: str, distance: Tensor) -> dict[str, Any]:
    """A layer's name with the root mean square and the maximum of its distances (mV)."""
    rms, greatest = distance.square().mean().sqrt().item(), distance.abs().max().item()
    return {"layer": name, "rms": float(f"{rms:.3g}"), "greatest": float(f"{greatest:.3g}")}
