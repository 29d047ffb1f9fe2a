"""``conductance tune``: search for the options of a preset that are best on validation images."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable
from conductance.data import load_dataset
from conductance.launch.options import LaunchOptions
from conductance.presets import get_preset
from conductance.runs import RunConfig

if TYPE_CHECKING:
    from conductance.tuning.study import Search

USAGE = """usage: conductance tune PRESET [options]

Searches for the options of a preset that are best on validation images, with Optuna.

conductance tune PRESET --help lists the options. conductance presets lists the presets.
Example: conductance tune digits-fcn-cwa --trials 30 --search optimizer.learning-rate=0.01:1:log"""

SHARE = 10
"""One training image in so many is held out to choose by, where neither options nor data set say which."""


@dataclass
class TuneArguments:
    """Search for the options of a preset that are best on validation images.

    Each trial is a run with other values of the searched options. Trials that are behind the median of the others after
    as many epochs are ended. Test images decide nothing. The same command again goes on, and several processes, here or
    on other machines, may share one storage.
    """

    run: Annotated[RunConfig, tyro.conf.arg(name="")]
    trials: int = 20
    """how many to try, all processes and calls together"""
    search: tuple[str, ...] = ()
    """options to search, each as NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C, such as
    optimizer.learning-rate=0.01:1:log data.augmentation=none,shift; both learning rates if not given, from a tenth of
    the preset's to ten times as much"""
    storage: str | None = None
    """what keeps the study: a file, or the URL of a database such as postgresql://host/name; if not given
    OUT/study.log"""
    study: str | None = None
    """its name in the storage; the preset's if not given"""
    prune: bool = True
    """end trials early that are behind"""
    data_dir: Path | None = None
    """folder to search for the data set first"""
    out: Path | None = None
    """folder for the trials and tuning.html; tuning/PRESET if not given"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or mps"""
    launch: Annotated[LaunchOptions, tyro.conf.arg(name="")] = field(default_factory=LaunchOptions)


def run(arguments: list[str]) -> None:
    """Search, and write the page."""
    if not arguments or arguments[0].startswith("-"):
        console.print(USAGE, markup=False, highlight=False)
        sys.exit(0 if {"-h", "--help"} & set(arguments) else 2)
    preset, *options = arguments
    chosen = parse(TuneArguments, f"tune {preset}", options, TuneArguments(run=get_preset(preset)))
    from conductance.tuning.page import write_page
    from conductance.tuning.study import finished, open_study
    from conductance.tuning.trials import work
    from conductance.tuning.workers import start_workers

    search = _search(chosen, preset)
    with resumable(console, ["conductance", "tune", *arguments], search.out):
        open_study(search)  # a mistake is told here, before any process starts
        if chosen.launch.cluster is None:
            work(search, console)
        else:
            start_workers(search, chosen.launch, console)
    study = open_study(search)
    if not finished(study):
        return
    page = write_page(study, search)
    console.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)


def _search(chosen: TuneArguments, preset: str) -> "Search":
    from conductance.tuning.space import default_choices, read_choices
    from conductance.tuning.study import Search

    out = (chosen.out or Path("tuning") / preset).absolute()
    place = None if chosen.data_dir is None else chosen.data_dir.expanduser().absolute()
    config = chosen.run
    choices = read_choices(chosen.search, config) if chosen.search else default_choices(config)
    dataset = load_dataset(config.data.dataset, place, image_size=config.data.image_size)
    if config.data.validation_images == 0 and dataset.validation is None:
        held_out = len(dataset.train) // SHARE
        config = replace(config, data=replace(config.data, validation_images=held_out))
        console.print(f"{held_out} training images are held out to choose by", highlight=False)
    return Search(
        config,
        tuple(choices),
        chosen.trials,
        out,
        chosen.storage or str(out / "study.log"),
        chosen.study or preset,
        chosen.prune,
        place,
        chosen.device,
    )
