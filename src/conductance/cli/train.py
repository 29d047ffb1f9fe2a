"""``conductance train``: train a preset, with whatever options change about it."""

import sys
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape

from conductance.cli.app import is_first_process, number_of_processes
from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable
from conductance.cli.launching import end_with, launch_all
from conductance.errors import InputError
from conductance.launch.options import LaunchOptions
from conductance.presets import PRESETS, get_preset, train_command
from conductance.runs import RunConfig
from conductance.runs.names import run_folder_name
from conductance.training import TensorBoard, train

USAGE = """usage: conductance train PRESET ... [options]

A preset is a complete run: data set, network, layer family and all other settings. An option changes one of them,
in each of the presets.

PRESET is one of:
{presets}

conductance train PRESET --help lists the options and the preset's values. One run in several processes, each of which
takes batches of the preset's size: torchrun --nproc-per-node 2 -m conductance train PRESET
Examples: conductance train mnist-cnn-cwa --data-dir ~/data --seed 1 --epochs 20
          conductance train mnist-cnn-cwa mnist-cnn-affine --seeds 5 --cluster slurm --slurm.partition gpu"""


@dataclass
class TrainArguments:
    """Train one network or many, and keep everything about each run in one folder.

    The preset sets every option; each option that you give replaces one of its values.
    """

    run: Annotated[RunConfig, tyro.conf.arg(name="")]
    data_dir: Path | None = None
    """folder to search for the data set first; after it $CONDUCTANCE_DATA, the user's cache and /usr/share/datasets are
    searched, and then it is downloaded"""
    out: Path | None = None
    """the run's folder, runs/NAME-seedN if not given; for several runs or with --cluster the folder that holds all of
    their folders, runs if not given"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or mps"""
    resume: bool = False
    """continue the run in that folder; the result is that of a run that never stopped. Several runs always continue"""
    sharded: bool = False
    """in several processes (torchrun): each holds a part of every parameter only, for networks too large for one"""
    seeds: int = 1
    """number of runs of each preset, with the seeds SEED, SEED + 1, ..."""
    tensorboard: bool = False
    """write events for TensorBoard, into the folder tensorboard of each run"""
    launch: Annotated[LaunchOptions, tyro.conf.arg(name="")] = field(default_factory=LaunchOptions)


def run(arguments: list[str]) -> None:
    """Train what the words ask for, and print the result in one line."""
    if not arguments or arguments[0].startswith("-"):
        console.print(USAGE.format(presets=_preset_names()), markup=False, highlight=False)
        sys.exit(0 if {"-h", "--help"} & set(arguments) else 2)
    presets = list(takewhile(lambda word: not word.startswith("-"), arguments))
    options = arguments[len(presets) :]
    defaults = [TrainArguments(run=get_preset(preset)) for preset in presets]
    chosen = [parse(TrainArguments, f"train {' '.join(presets)}", options, default) for default in defaults]
    if len(chosen) == 1 and chosen[0].seeds == 1 and chosen[0].launch.cluster is None:
        _train_one(chosen[0], presets[0], arguments)
    elif number_of_processes() > 1:
        raise InputError("several processes train one run; give one preset and one seed, and no --cluster")
    else:
        _train_many(chosen, presets, arguments)


def _train_one(chosen: TrainArguments, preset: str, arguments: list[str]) -> None:
    out = chosen.out or Path("runs") / run_folder_name(chosen.run.name, chosen.run.seed)
    count = number_of_processes()
    launcher = ["torchrun", "--nproc-per-node", str(count), "-m"] if count > 1 else []
    command = [*launcher, "conductance", "train", *arguments]
    console.quiet = not is_first_process()
    with resumable(console, command if chosen.resume else [*command, "--resume"], out):
        summary = train(
            chosen.run,
            out,
            data_dir=chosen.data_dir,
            device=chosen.device,
            resume=chosen.resume,
            sharded=chosen.sharded,
            console=console,
            command=" ".join([*launcher, train_command(chosen.run, preset, chosen.data_dir)]),
            callbacks=[TensorBoard()] if chosen.tensorboard else [],
        )
    console.print(
        f"[bold]{escape(summary['name'])}[/] seed {summary['seed']}: test accuracy "
        f"[bold]{summary['test_accuracy']:.2f} %[/] after {summary['epochs']} epochs "
        f"(best {summary['best_test_accuracy']:.2f} %), {summary['seconds']:.0f} s; in {escape(str(out))}",
        soft_wrap=True,
    )


def _train_many(chosen: list[TrainArguments], presets: list[str], arguments: list[str]) -> None:
    from conductance.launch.plan import plan_runs

    first = chosen[0]
    out = first.out or Path("runs")
    runs = plan_runs(
        [each.run for each in chosen],
        first.seeds,
        out,
        presets=presets,
        data_dir=first.data_dir,
        device=first.device,
        tensorboard=first.tensorboard,
    )
    end_with(launch_all(runs, out, first.launch, console, ["conductance", "train", *arguments]), console)


def _preset_names() -> str:
    """A line for each data set and architecture, with one preset for each family, and those with an interneuron."""
    lines = groupby(PRESETS, lambda name: name.removesuffix("-pooled").rpartition("-")[0])
    return "\n".join("  " + " ".join(names) for _, names in lines)
