"""What a person types: ``conductance train``, ``evaluate``, ``report``, ``simulate`` and the others in `COMMANDS`."""

import io
import json as _json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from conductance.errors import ConductanceError, InputError, UnknownNameError

try:
    import tyro
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from conductance.cli.interruption import resumable
except ModuleNotFoundError as missing:  # the core needs torch and numpy alone
    sys.exit(f"the command line needs the package {missing.name}: pip install 'conductance[train,report]'")

if TYPE_CHECKING:
    from conductance.runs import RunConfig

console = Console()


@dataclass
class TrainArguments:
    """Train one network and keep everything about it in a folder.

    A preset names a complete run; every option below changes one thing about it.
    """

    run: Annotated["RunConfig", tyro.conf.arg(name="")]
    data_dir: Path | None = None
    """where to look for the data set first; then $CONDUCTANCE_DATA, the user's cache, /usr/share/datasets, the web"""
    out: Path | None = None
    """the run's folder; runs/NAME-seedN where left out"""
    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda or mps"""
    resume: bool = False
    """go on with the run in that folder, as if it had never stopped"""


def train(arguments: list[str]) -> None:
    """Train a preset: conductance train PRESET [options]."""
    from conductance.presets import PRESETS, get_preset
    from conductance.presets.command import train_command
    from conductance.runs import RunConfig
    from conductance.runs.names import run_folder_name
    from conductance.training import train as run_training

    globals()["RunConfig"] = RunConfig  # for tyro, which resolves the annotation by its name
    preset, options = _split_preset(arguments)
    if preset is None:
        console.print("usage: conductance train PRESET [options]\n", markup=False)
        console.print("PRESET is one of:")
        console.print(", ".join(PRESETS), style="cyan")
        console.print("\nconductance train PRESET --help lists what can be changed, with the preset's own values.")
        console.print("Example: conductance train mnist-cnn-cwa --data-dir ~/data --seed 1 --epochs 20")
        sys.exit(0 if {"-h", "--help"} & set(arguments) else 2)
    defaults = TrainArguments(run=get_preset(preset))
    chosen = tyro.cli(TrainArguments, default=defaults, args=options, prog=f"conductance train {preset}")
    out = chosen.out or Path("runs") / run_folder_name(chosen.run.name, chosen.run.seed)
    command = ["conductance", "train", *arguments]
    console.quiet = os.environ.get("RANK", "0") != "0"  # under torchrun the first process speaks for all
    with resumable(console, command if chosen.resume else [*command, "--resume"], out):
        summary = run_training(
            chosen.run,
            out,
            data_dir=chosen.data_dir,
            device=chosen.device,
            resume=chosen.resume,
            console=console,
            command=train_command(chosen.run, preset),
        )
    console.print(
        f"[bold]{escape(summary['name'])}[/] seed {summary['seed']}: test accuracy "
        f"[bold]{summary['test_accuracy']:.2f} %[/] after {summary['epochs']} epochs "
        f"(best {summary['best_test_accuracy']:.2f} %), {summary['seconds']:.0f} s; in {escape(str(out))}",
        soft_wrap=True,
    )


def _split_preset(arguments: list[str]) -> tuple[str | None, list[str]]:
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    return None, arguments


def evaluate(run: tyro.conf.Positional[Path], data_dir: Path | None = None) -> None:
    """Test the network of a finished run again.

    Args:
        run: the run's folder
        data_dir: where to look for the data set first
    """
    from conductance.runs import load_run
    from conductance.training import evaluate as evaluate_network

    trained = load_run(run, data_dir)
    loss, accuracy = evaluate_network(trained.network, trained.preprocessing, trained.dataset.test)
    images = len(trained.dataset.test)
    console.print(f"{escape(trained.config.name)}: test accuracy {accuracy:.2f} %, loss {loss:.4f} on {images} images")


def presets() -> None:
    """List the presets: complete runs, by name."""
    from conductance.presets import PRESETS

    table = Table("preset", "data set", "network", "family", "epochs", box=None)
    for name, preset in PRESETS.items():
        config = preset()
        table.add_row(name, config.data.dataset, config.model.architecture, config.model.family, str(config.epochs))
    console.print(table)


def models() -> None:
    """List the architectures and the layer families they can be made of."""
    from conductance.models import ARCHITECTURES, FAMILIES

    architectures = Table("architecture", "what it is", box=None)
    for name, architecture in ARCHITECTURES.items():
        architectures.add_row(name, (architecture.__doc__ or "").splitlines()[0])
    families = Table("family", "what its hidden layers are made of", "input", box=None)
    for family in FAMILIES.values():
        families.add_row(family.name, family.description, family.preprocessing)
    console.print(architectures, "", families)


def report(runs: tyro.conf.Positional[tuple[Path, ...]], out: Path = Path("report.html")) -> None:
    """Compare finished runs: a table here, and a page with learning curves and a look inside the networks.

    Args:
        runs: folders of runs, or folders that contain them
        out: what to write: .html for the page, .csv or .md for the table alone. A folder that `conductance reproduce`
            has filled gets the paper's tables as well
    """
    if out.suffix.lower() in (".htm", ".pdf", ".svg", ".png", ".json", ".txt", ".xlsx") or out.suffix == ".HTML":
        raise InputError(f"out={out}: a report is written as .html, .csv or .md")
    from conductance.report import summarize, terminal_table, write_csv, write_markdown, write_report
    from conductance.runs import load_runs

    rows = summarize(load_runs(runs))
    console.print(terminal_table(rows))
    if out.suffix == ".csv":
        write_csv(rows, out)
    elif out.suffix == ".md":
        write_markdown(rows, out)
    else:
        out = write_report(runs, out)
    console.print(f"report: {escape(str(out))}", soft_wrap=True)
    _paper_tables(runs)


def _paper_tables(folders: tuple[Path, ...]) -> None:
    """Write the paper's tables into every folder that ``conductance reproduce`` has filled."""
    from conductance.reproduction.results import is_reproduction, write_tables
    from conductance.runs import load_runs

    for folder in folders:
        if is_reproduction(folder):
            written = write_tables(load_runs([folder]), folder)
            console.print(f"beside the paper: {escape(', '.join(map(str, written)))}", soft_wrap=True)


@dataclass
class ReproduceArguments:
    """Train what a table of the paper takes, and put the result beside the paper's.

    What is finished is not done again, what was cut off goes on, and several processes may share one --out.
    """

    table: tyro.conf.Positional[Literal["table1", "table2"]]
    """of the paper"""
    recipe: str = "modern"
    """modern (this package's presets), paper (section 4.3 to the letter) or paper-alive (the same, but for a resting
    potential of 0 where the letter leaves layers without any open synapse)"""
    cells: str = ""
    """some of the table's, such as mnist-cnn-cwa,cifar10-cnn-cwa; all where left out"""
    seeds: int = 3
    """runs of each cell: seeds 0, 1, ..."""
    epochs: int | None = None
    """instead of the recipe's; fewer are marked as short wherever they appear"""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """mixed precision of runs that have not begun; bf16 takes 0.5 to 1 of the time where the processor has it"""
    data_dir: Path | None = None
    """where to look for the data sets first"""
    out: Path = Path("reproduction")
    """folder of all runs and tables; a run lies in RECIPE/NAME-seedK"""
    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda or mps"""
    plan: bool = False
    """train nothing: list the runs, how far they are, and the time left"""


def reproduce(arguments: list[str]) -> None:
    """Train what a table of the paper takes, and put the result beside the paper's."""
    from conductance.reproduction.plan import plan_runs
    from conductance.reproduction.recipes import get_recipe
    from conductance.reproduction.results import paper_rows
    from conductance.reproduction.table import terminal_paper_table
    from conductance.reproduction.tables import select_cells
    from conductance.reproduction.train import plan_table, train_all
    from conductance.runs import load_runs

    chosen = tyro.cli(ReproduceArguments, args=arguments, prog="conductance reproduce")
    names = list(filter(None, (name.strip() for name in chosen.cells.split(","))))
    if chosen.cells and not names:
        raise InputError(f"cells={chosen.cells!r} names none; leave --cells out for all of the table's")
    cells = select_cells(chosen.table, names)
    runs = plan_runs(cells, get_recipe(chosen.recipe), chosen.seeds, chosen.out, chosen.epochs, chosen.precision)
    if chosen.plan:
        console.print(plan_table(runs))
        return
    with resumable(console, ["conductance", "reproduce", *arguments], chosen.out):
        train_all(runs, data_dir=chosen.data_dir, device=chosen.device, console=console)
    if any(run.started for run in runs):
        console.print(terminal_paper_table(paper_rows(chosen.table, load_runs([chosen.out]))))
        _paper_tables((chosen.out,))


def simulate(
    run: tyro.conf.Positional[Path],
    images: int = 100,
    duration: float = 200.0,
    mode: Literal["constant", "spiking"] = "constant",
    step: float = 1.0,
    rate_max: float = 1000.0,
    total_conductance: float = 50.0,
    seed: int = 0,
    data_dir: Path | None = None,
    out: Path = Path("potentials"),
) -> None:
    """Run a finished run's network as membranes in millivolts and milliseconds, and draw their potentials.

    Args:
        run: the run's folder
        images: the first so many test images, all shown at once
        duration: ms, from rest on
        mode: constant: synapses as open as p says; spiking: units fire at the rate p rate-max
        step: ms
        rate_max: spikes per second of a unit with p = 1
        total_conductance: nS open at a unit in the mean over a layer and the images; with 200 pF the time constant
        seed: of the spikes
        data_dir: where to look for the data set first
        out: folder for potentials.svg and potentials.csv
    """
    from conductance.report.potentials import simulate_run

    result = simulate_run(
        run,
        out,
        images=images,
        duration=duration,
        mode=mode,
        step=step,
        rate_max=rate_max,
        total_conductance=total_conductance,
        seed=seed,
        data_dir=data_dir,
        console=console,
    )
    table = Table("layer", "units", "rms distance from eq. 1", "greatest", box=None)
    for layer in result.layers:
        table.add_row(layer["layer"], str(layer["units"]), f"{layer['rms']:g} mV", f"{layer['greatest']:g} mV")
    console.print(table)
    when = "in the mean over the second half" if mode == "spiking" else "at the end"
    shares = {name: f"{share:.2f} %" for name, share in result.accuracies.items()}
    console.print(
        f"{escape(result.name)} as membranes, {when} of {duration:g} ms: accuracy {shares['accuracy']}, the network "
        f"itself {shares['network_accuracy']}, the same class for {shares['same_class']} of the images"
    )
    console.print(f"potentials: {' '.join(escape(str(file)) for file in result.files)}", soft_wrap=True)


def bench(
    what: tyro.conf.Positional[Literal["layers", "training", "inference"]],
    device: str = "cpu",
    dtype: Literal["float32", "tf32", "bfloat16"] = "float32",
    rounds: int = 9,
    json: Path | None = None,
) -> None:
    """Time conductance layers or networks against affine + BatchNorm, as ratios within one process.

    Args:
        what: layers: every layer of the paper's networks, forward and backward; training: whole steps with Adam;
            inference: the forward pass of whole networks, frozen and not
        device: cpu or cuda
        dtype: of the products: bfloat16 by autocast, tf32 on GPUs that have it
        rounds: how often everybody takes their turn
        json: also write the figures here
    """
    import dataclasses

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler, which measures memory, would talk meanwhile
    from conductance.bench import BENCHMARKS, TIMING_COLUMNS, bench_device, precision, timing_rows
    from conductance.files import write_text
    from conductance.runs.provenance import git_commit, hardware, versions

    if rounds < 2:
        raise InputError(f"rounds={rounds}: a median with its spread needs at least 2")
    here = bench_device(device)
    timings = []
    with precision(dtype, here), console.status("") as status:
        for timing in BENCHMARKS[what](here, rounds):
            timings.append(timing)
            status.update(f"{timing.case}: {timing.contender} at {timing.ratio:.3f} of affine+BN+ReLU")
    table = Table(*TIMING_COLUMNS, box=None)
    for row in timing_rows(timings):
        table.add_row(*row)
    where = {"dtype": dtype, "hardware": hardware(here), "versions": versions(), "git_commit": git_commit()}
    console.print(
        table,
        f"\nratio: to affine+BN+ReLU in the same round, median of {rounds}; product rate: of a large matrix product in "
        "the same round; memory: ratio of the peaks",
        where,
    )
    if json is not None:
        content = {"what": what, "rounds": rounds, **where, "timings": [dataclasses.asdict(t) for t in timings]}
        write_text(json, _json.dumps(content, indent=1) + "\n")


def demo(out: Path = Path("demo"), device: str = "auto") -> None:
    """Train conductance and affine networks on 1,797 real digits and compare them, in under three minutes.

    Args:
        out: folder for the runs and report.html; what is already there is not done again
        device: auto, cpu, cuda or mps
    """
    from conductance.cli.demo import run_demo

    with resumable(console, ["conductance", "demo", "--out", str(out), "--device", device], out):
        run_demo(out, device=device, console=console)
    report((out / "runs",), out / "report.html")


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "evaluate": evaluate,
    "presets": presets,
    "models": models,
    "report": report,
    "reproduce": reproduce,
    "simulate": simulate,
    "bench": bench,
    "demo": demo,
}


def _overview() -> None:
    console.print("usage: conductance COMMAND [options]\n", markup=False)
    console.print("Neural networks whose neurons average conductances.\n")
    table = Table(box=None, show_header=False)
    for name, command in COMMANDS.items():
        table.add_row(f"[bold]{name}[/]", escape((command.__doc__ or "").splitlines()[0]))
    console.print(table)
    console.print("\nconductance COMMAND --help says more. A first try: conductance demo")


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return _overview()
    if arguments[0] == "--version":
        from conductance import __version__

        return console.print(f"conductance {__version__}")
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS)
    if name in ("train", "reproduce"):  # these two say how to go on, in the words of their arguments
        return COMMANDS[name](rest)
    return tyro.cli(COMMANDS[name], args=rest, prog=f"conductance {name}")


def _complain(kind: str, message: object) -> None:
    Console(stderr=True).print(f"{kind} {escape(str(message))}", highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> None:
    """Run one command; what a person can mend ends in one line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of few letters shows ? for the others
            stream.reconfigure(errors="replace")
    warnings.showwarning = lambda message, *_: _complain("[yellow]warning:[/]", message)
    try:
        _dispatch(sys.argv[1:] if arguments is None else arguments)
    except ConductanceError as error:
        _complain("[red]error:[/]", error)
        sys.exit(2)
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
