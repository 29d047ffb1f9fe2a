"""Does a trained network still know its digits when its units are membranes in time, at rest and under spikes?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from conductance.biophysics import BiophysicalNetwork, PotentialRange, Simulation, simulate, to_biophysical
from conductance.biophysics.simulation import Mode
from conductance.files import write_table, write_text
from conductance.report.potentials import compare_choices, distance_from_eq1
from conductance.runs import load_run
from conductance.runs.provenance import git_commit
from studies.membranes.figure import membranes_figure
from studies.shared.folder import folder_of

FOLDER = folder_of(__file__)
LAYERS = FOLDER.path / "layers.csv"
RUN = Path(__file__).parents[2] / "results/archive/early_presets/mnist-cnn-cwa-seed0"
IMAGES = 500  # of the test set, in time; at once too
RATES = (100.0, 300.0, 1000.0, 10_000.0)  # spikes per second of a unit with p = 1
DURATION, STEP = 200.0, 1.0  # ms
AVERAGE_FROM = 100.0  # ms, of mean potentials
POTENTIALS = PotentialRange(-70.0, 0.0)  # inhibition is GABA-A's
TIMES = (5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200)  # ms

# To rest: the steady state is exact at any step, and a membrane with its leak alone takes 300 ms for a factor e.
REST_AFTER, REST_STEP = 4000.0, 100.0  # ms


@dataclass(frozen=True)
class Measurement:
    """One simulation's setting: constant open probabilities, or spikes of this greatest rate, in one precision."""

    mode: Mode
    rate_max: float | None = None
    dtype: torch.dtype = torch.float32

    @property
    def columns(self) -> dict[str, Any]:
        """How the tables name it."""
        return {"mode": self.mode, "rate_max": self.rate_max, "dtype": str(self.dtype).removeprefix("torch.")}


def measure_membranes(
    run: Path,
    accuracy_file: Path,
    layers_file: Path,
    *,
    images: int = IMAGES,
    at_rest: int | None = None,
    rates: Sequence[float] = RATES,
    seed: int = 0,
    console: Console | None = None,
) -> None:
    """Simulate a trained network with its test images and write two tables as CSV.

    Both begin with mode, rate_max (spikes/s), dtype, images, time (ms). Then ``accuracy_file`` has accuracy (%, of
    the logits at rest, or in the mean since the start), network_accuracy (%, of the same images) and same_class (%
    of images for which both choose the same); ``layers_file`` has layer, rms and greatest (distance from the
    network's z, in mV, of V at rest or of its mean from `AVERAGE_FROM` on). Both end with where they came from.

    Args:
        run: folder of a finished run.
        accuracy_file: see above.
        layers_file: see above.
        images: the first so many of the test set in time.
        at_rest: the first so many of the test set at rest; all by default.
        rates: greatest rates of spikes.
        seed: of the spikes.
        console: where a bar shows; None for none.
    """
    trained = load_run(run)
    pixels, labels = trained.dataset.test.pixels[:at_rest], trained.dataset.test.labels[:at_rest]
    inputs = trained.preprocessing(pixels)
    source = {"run": run.name, "seed": seed, "commit": git_commit(), "command": FOLDER.command}
    in_time = [Measurement("constant"), *(Measurement("spiking", rate) for rate in rates)]
    batches = inputs.split(IMAGES)
    steps = round(DURATION / STEP) * len(in_time) + round(REST_AFTER / REST_STEP) * (len(batches) + 1)
    accuracies: list[dict[str, Any]] = []
    layers: list[dict[str, Any]] = []
    with Progress(console=console, disable=console is None, transient=True) as bar:
        task = bar.add_task("membranes", total=steps)

        def step() -> None:
            bar.advance(task)

        for setting, parts in (
            (Measurement("constant"), batches),
            (Measurement("constant", dtype=torch.float64), inputs[:images].split(IMAGES)),
        ):
            accuracy, distances = _at_rest(trained.network, setting, parts, labels, step)
            accuracies.append({**accuracy, **source})
            layers += [{**row, **source} for row in distances]
        for setting in in_time:
            curve, distances = _in_time(trained.network, setting, inputs[:images], labels[:images], seed, step)
            accuracies += [{**row, **source} for row in curve]
            layers += [{**row, **source} for row in distances]
    write_table(accuracy_file, list(accuracies[0]), accuracies)
    write_table(layers_file, list(layers[0]), layers)


def _membranes(network: nn.Module, setting: Measurement, inputs: Tensor) -> tuple[BiophysicalNetwork, Tensor]:
    """The membranes, of a size that the first of the inputs give, and the inputs, in the setting's precision."""
    inputs = inputs.to(setting.dtype)
    return to_biophysical(network.to(setting.dtype), POTENTIALS, images=inputs[:IMAGES]), inputs


@torch.no_grad()
def _at_rest(
    network: nn.Module, setting: Measurement, batches: Sequence[Tensor], labels: Tensor, on_step: Callable[[], None]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    membranes, _ = _membranes(network, setting, batches[0])
    chosen, expected = [], []
    distances: dict[str, list[Tensor]] = {layer.name: [] for layer in membranes.layers}
    for batch in batches:
        inputs = batch.to(setting.dtype)
        result = simulate(
            membranes, inputs, REST_AFTER, step=REST_STEP, units={}, average_from=REST_AFTER, on_step=on_step
        )
        chosen.append(result.mean_logits.argmax(1))
        expected.append(network(inputs).argmax(1))
        for name, V in membranes.steady_state(inputs).items():
            distances[name].append((result.mean_potential[name] - V).flatten(1))
    of = {**setting.columns, "images": sum(map(len, batches)), "time": REST_AFTER}
    accuracy = {**of, **compare_choices(torch.cat(chosen), torch.cat(expected), labels)}
    return accuracy, [{**of, **distance_from_eq1(name, torch.cat(each))} for name, each in distances.items()]


@torch.no_grad()
def _in_time(
    network: nn.Module, setting: Measurement, inputs: Tensor, labels: Tensor, seed: int, on_step: Callable[[], None]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    membranes, inputs = _membranes(network, setting, inputs)
    result: Simulation = simulate(
        membranes,
        inputs,
        DURATION,
        mode=setting.mode,
        step=STEP,
        rate_max=setting.rate_max or RATES[0],
        generator=torch.Generator().manual_seed(seed),
        units={},
        average_from=AVERAGE_FROM,
        on_step=on_step,
    )
    expected = network(inputs).argmax(1)
    since_start = result.logits.cumsum(0) / torch.arange(1, len(result.logits) + 1).view(-1, 1, 1)
    of = {**setting.columns, "images": len(inputs)}
    curve = [
        {**of, "time": time, **compare_choices(since_start[round(time / STEP)].argmax(1), expected, labels)}
        for time in TIMES
    ]
    steady = membranes.steady_state(inputs)
    return curve, [
        {**of, "time": DURATION, **distance_from_eq1(name, V - steady[name])}
        for name, V in result.mean_potential.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and draw everything."""
    FOLDER.parser(__doc__).parse_args(arguments)
    measure_membranes(RUN, FOLDER.result, LAYERS, console=Console())
    write_text(FOLDER.figure, membranes_figure(FOLDER.result, LAYERS))
