"""``conductance train``: train a preset, with whatever options change about it."""

import os
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable
from conductance.presets import PRESETS, get_preset, train_command
from conductance.runs import RunConfig
from conductance.runs.names import run_folder_name
from conductance.training import train

USAGE = """usage: conductance train PRESET [options]

A preset is a complete run: data set, network, layer family and all other settings. An option changes one of them.

PRESET is one of:
{presets}

conductance train PRESET --help lists the options and the preset's values.
Example: conductance train mnist-cnn-cwa --data-dir ~/data --seed 1 --epochs 20"""


@dataclass
class TrainArguments:
    """Train one network, and keep everything about the run in one folder.

    The preset sets every option; each option that you give replaces one of its values.
    """

    run: Annotated[RunConfig, tyro.conf.arg(name="")]
    data_dir: Path | None = None
    """folder to search for the data set first; after it $CONDUCTANCE_DATA, the user's cache and /usr/share/datasets are
    searched, and then it is downloaded"""
    out: Path | None = None
    """the run's folder; runs/NAME-seedN if not given"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or mps"""
    resume: bool = False
    """continue the run in that folder; the result is that of a run that never stopped"""


def run(arguments: list[str]) -> None:
    """Train what the words ask for, and print the result in one line."""
    if not arguments or arguments[0].startswith("-"):
        console.print(USAGE.format(presets=_preset_names()), markup=False, highlight=False)
        sys.exit(0 if {"-h", "--help"} & set(arguments) else 2)
    preset, *options = arguments
    chosen = parse(TrainArguments, f"train {preset}", options, TrainArguments(run=get_preset(preset)))
    out = chosen.out or Path("runs") / run_folder_name(chosen.run.name, chosen.run.seed)
    command = ["conductance", "train", *arguments]
    console.quiet = os.environ.get("RANK", "0") != "0"  # under torchrun only the first process prints
    with resumable(console, command if chosen.resume else [*command, "--resume"], out):
        summary = train(
            chosen.run,
            out,
            data_dir=chosen.data_dir,
            device=chosen.device,
            resume=chosen.resume,
            console=console,
            command=train_command(chosen.run, preset, chosen.data_dir),
        )
    console.print(
        f"[bold]{escape(summary['name'])}[/] seed {summary['seed']}: test accuracy "
        f"[bold]{summary['test_accuracy']:.2f} %[/] after {summary['epochs']} epochs "
        f"(best {summary['best_test_accuracy']:.2f} %), {summary['seconds']:.0f} s; in {escape(str(out))}",
        soft_wrap=True,
    )


def _preset_names() -> str:
    """A line for each data set and architecture, with one preset for each family, and those with an interneuron."""
    lines = groupby(PRESETS, lambda name: name.removesuffix("-pooled").rpartition("-")[0])
    return "\n".join("  " + " ".join(names) for _, names in lines)
