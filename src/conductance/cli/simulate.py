"""``conductance simulate``: run a trained network as membranes in time."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table


@dataclass
class SimulateArguments:
    """Run a trained network as membranes, in millivolts and milliseconds, and draw their potentials.

    Writes potentials.svg and potentials.csv, and prints how far the membranes are from eq. 1.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """the run's folder"""
    images: int = 100
    """number of test images, from the first; all are shown at once"""
    duration: float = 200.0
    """ms; the membranes start at rest"""
    mode: Literal["constant", "spiking"] = "constant"
    """constant: a synapse's open probability is p; spiking: units fire at the rate p times --rate-max"""
    step: float = 1.0
    """time step in ms"""
    rate_max: float = 1000.0
    """spikes per second of a unit with p = 1"""
    total_conductance: float = 50.0
    """nS open at a unit, averaged over a layer and the images; the time constant is 200 pF divided by it"""
    seed: int = 0
    """seed of the spikes"""
    data_dir: Path | None = None
    """folder to search for the data set first"""
    out: Path = Path("potentials")
    """folder for the figure and the table"""


def run(arguments: list[str]) -> None:
    """Simulate, and print a row for each layer."""
    chosen = parse(SimulateArguments, "simulate", arguments)
    from conductance.report.potentials import simulate_run

    result = simulate_run(**asdict(chosen), console=console)
    table = plain_table("layer", "units", "rms distance from eq. 1", "greatest distance")
    for layer in result.layers:
        table.add_row(layer["layer"], str(layer["units"]), f"{layer['rms']:g} mV", f"{layer['greatest']:g} mV")
    console.print(table)
    when = "averaged over the second half" if chosen.mode == "spiking" else "at the end"
    shares = {name: f"{share:.2f} %" for name, share in result.accuracies.items()}
    console.print(
        f"{result.name} as membranes, {when} of {chosen.duration:g} ms: accuracy {shares['accuracy']}, the network "
        f"itself {shares['network_accuracy']}, the same class for {shares['same_class']} of the images",
        markup=False,
    )
    console.print(f"potentials: {' '.join(map(str, result.files))}", markup=False, soft_wrap=True)
