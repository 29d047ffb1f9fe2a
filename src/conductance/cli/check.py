"""``conductance check``: are the layers of a trained network as they should be? The exit status says so too."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.errors import InputError
from conductance.files import write_text

if TYPE_CHECKING:
    from conductance.analysis.check import CheckReport

NOT_OK = 1
"""Exit status where something is wrong with the network; mistakes in the command have another."""


@dataclass
class CheckArguments:
    """Check every layer of conductances: signs, valences, ranges, dead and saturated units, balance."""

    network: tyro.conf.Positional[Path]
    """the folder of a run or of a saved network; the name of one that comes along (see conductance models); or a file
    of weights (.safetensors, .pt), of which only the conductances can be checked"""
    images: int = 500
    """how many test images a network is checked on"""
    out: Path | None = None
    """file to write the report to, as JSON"""
    data_dir: Path | None = None
    """folder to search for the data set first"""


def run(arguments: list[str]) -> None:
    """Print the report; exit with 1 if there is a problem."""
    chosen = parse(CheckArguments, "check", arguments)
    report = _of_file(chosen.network) if chosen.network.is_file() else _of_network(chosen)
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if chosen.out is not None:
        write_text(chosen.out, json.dumps(report.to_dict(), indent=1) + "\n")
    if not report.ok:
        sys.exit(NOT_OK)


def _of_network(chosen: CheckArguments) -> "CheckReport":
    from conductance.analysis.check import check
    from conductance.share.source import Source

    if chosen.images < 1:
        raise InputError(f"images={chosen.images}: must be positive")
    source = Source.of(chosen.network, chosen.data_dir)
    if not source.are_real:
        return check(source.network)
    prepare, pixels = source.pixels()
    return check(source.network, prepare(pixels[: chosen.images]))


def _of_file(path: Path) -> "CheckReport":
    from conductance.analysis.check import check_weights

    try:
        from conductance.tensor_files import read_tensors, read_torch

        weights = read_tensors(path) if path.suffix == ".safetensors" else read_torch(path)
    except Exception as error:  # whatever a damaged file or one of another kind brings
        first = (str(error).splitlines() or [""])[0].split(". ")[0]
        raise InputError(f"{path} holds no weights that can be read: {first}") from None
    if not isinstance(weights, dict):
        raise InputError(f"{path} holds a {type(weights).__name__}; give the file of a state dict")
    return check_weights(weights)
