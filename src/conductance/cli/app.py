"""The program ``conductance``: it lists its commands, loads the one that was asked for and runs it.

Nothing here needs torch, so that the overview and the version appear at once. A command is a module of this package
with a function ``run`` that takes the words after the command's name.
"""

import io
import os
import re
import sys
import warnings
from importlib import import_module
from types import ModuleType

from conductance import __version__
from conductance.errors import ConductanceError, UnknownNameError
from conductance.printable import printable

GROUPS = {
    "Train": {
        "demo": "compare conductance and affine networks on 1,797 digits (3 minutes)",
        "train": "train networks, each with everything about its run in one folder",
        "reproduce": "train the networks of one of the paper's tables",
        "tune": "search for the options that are best on validation images",
        "status": "how far the runs in a folder are, here or on a cluster",
    },
    "Look at finished runs": {
        "report": "compare runs: a table, learning curves, a look inside the networks",
        "evaluate": "test the network of a run, or a saved one, again",
        "check": "check every layer: signs, valences, ranges, dead units, balance",
        "simulate": "run a network as membranes, in millivolts and milliseconds",
        "live": "draw, and watch a network of conductances decide, in the browser",
        "save": "save the network of a run in a folder to share",
        "export": "write a network as ONNX, torch.export, NeuroML or a table of siemens",
    },
    "See what there is": {
        "presets": "list the presets: complete runs, by name",
        "models": "list network architectures, layer families, and trained networks",
        "bench": "time conductance layers against affine + BatchNorm on this machine",
    },
}
"""The commands by what they are for, each in one line."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}
"""The same without groups."""

FIRST_STEPS = {
    "conductance demo": "writes demo/report.html",
    "conductance train mnist-cnn-cwa": "finds MNIST, or downloads it",
    "conductance train mnist-cnn-cwa --help": "lists every option of a run",
    "conductance report runs": "compares all runs in the folder runs",
}
"""Commands worth trying first, and what each does."""

IN_SEVERAL_PROCESSES = ("train",)
"""Commands that ``torchrun`` and ``accelerate launch`` can start."""

MISTAKE = 2
"""Exit status after an error that the user can correct."""


def dispatch(arguments: list[str] | None) -> None:
    """Run the command that the words name, or print the overview; see `conductance.cli.main`."""
    if sys.stdout is None:  # closed by who started the process
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (to the end of the process)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding without a character prints ? instead
            stream.reconfigure(errors="replace")
    if number_of_processes() > 1:  # when one of them is lost, torch writes stack traces beside our line
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _complain("warning", message) if is_first_process() else None
        try:
            try:
                _run(sys.argv[1:] if arguments is None else arguments)
            finally:
                sys.stdout.flush()
        except ConductanceError as error:
            if not error.silent if error.silent is not None else is_first_process():
                _complain("error", error)
            sys.exit(MISTAKE)
        except BrokenPipeError:  # the reader has closed the pipe, as `head` does
            _print_no_more()
            sys.exit(1)
        except OSError as error:
            if error.filename is not None:
                raise
            _print_no_more()
            _complain("error", f"standard output cannot be written ({error.strerror or error}); send it elsewhere")
            sys.exit(MISTAKE)


def _print_no_more() -> None:
    """Let what is still to be printed, at the end of the process for example, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def number_of_processes() -> int:
    """How many processes ``torchrun`` or ``accelerate launch`` has started, this one among them; 1 if neither has."""
    launched = {"RANK", "LOCAL_RANK", "MASTER_ADDR"} <= os.environ.keys()
    return int(os.environ.get("WORLD_SIZE", "1")) if launched else 1


def is_first_process() -> bool:
    """Whether this is the one of these processes that prints."""
    return number_of_processes() == 1 or os.environ["RANK"] == "0"


def overview() -> str:
    """What ``conductance --help`` prints."""
    lines = ["usage: conductance COMMAND [options]", "", "Neural networks whose neurons average conductances."]
    for heading, commands in {**GROUPS, "First steps": FIRST_STEPS}.items():
        width = max(map(len, commands))
        lines += ["", heading, *(f"  {name:<{width}}  {summary}" for name, summary in commands.items())]
    return "\n".join([*lines, "", "conductance COMMAND --help explains a command and its options."])


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
    elif arguments[0] == "--version":
        print(f"conductance {__version__}")
    elif arguments[0] in COMMANDS:
        if arguments[0] not in IN_SEVERAL_PROCESSES and number_of_processes() > 1:
            raise ConductanceError(
                f"conductance {arguments[0]} runs in one process; start it without torchrun or accelerate launch "
                f"(in several there is conductance {' and '.join(IN_SEVERAL_PROCESSES)})"
            )
        _load(arguments[0]).run(arguments[1:])
    else:
        raise UnknownNameError("command", arguments[0], COMMANDS)


def _load(name: str) -> ModuleType:
    try:
        return import_module(f"conductance.cli.{name}")
    except ModuleNotFoundError as missing:  # the core needs torch and numpy alone
        if (missing.name or "").startswith("conductance"):
            raise
        raise ConductanceError(
            f"the command line needs the package {missing.name}: pip install 'conductance[train,report]'"
        ) from missing


def _complain(kind: str, message: object) -> None:
    text = printable(re.sub(r"\s*[\n\r\t]\s*", " ", str(message).strip()))
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        kind = f"\x1b[{31 if kind == 'error' else 33}m{kind}\x1b[0m"
    print(f"{kind}: {text}", file=sys.stderr, flush=True)
