"""``conductance live``: a page on which one draws, and watches a network of conductances decide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.errors import InputError

PORTS = 2**16


@dataclass
class LiveArguments:
    """Draw a digit in the browser and watch a trained network decide: every membrane in millivolts, what excites and
    what inhibits it, and what becomes of it when noise, lesions or drugs disturb it. Ctrl-C ends it."""

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|FOLDER")] = Path("mnist-small")
    """the folder of a run or of a saved network; or the name of one that comes along (see conductance models)"""
    beside: Annotated[Path | None, tyro.conf.arg(metavar="RUN|FOLDER")] = None
    """an affine network to compare it with; where NETWORK-batchnorm comes along, that one"""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """write the page there instead: one file, index.html, that needs no server and no network"""
    port: int = 0
    """of the server, on this machine alone; 0 for any that is free"""
    open: bool = False
    """open the browser"""
    data_dir: Path | None = None
    """folder to search for the data set first"""


def run(arguments: list[str]) -> None:
    """Serve the page, or write it."""
    chosen = parse(LiveArguments, "live", arguments)
    if not 0 <= chosen.port < PORTS:
        raise InputError(f"port={chosen.port}: must lie in [0, {PORTS - 1}]")
    from conductance.live import build_page, serve, write_page
    from conductance.share.source import Source

    beside = chosen.beside or companion(chosen.network)
    source = Source.of(chosen.network, chosen.data_dir)
    other = None if beside is None else Source.of(beside, chosen.data_dir)
    if chosen.output is not None:
        _say(f"live page: {write_page(chosen.output, source, other)}")
        return
    serve(
        build_page(source, other),
        chosen.port,
        announce=lambda address: _say(f"{source.name}: {address} (Ctrl-C to stop)"),
        open_browser=chosen.open,
    )


def companion(network: Path) -> Path | None:
    """The affine network with BatchNorm that comes along to be compared with a network of this package."""
    from conductance.share import names

    name = f"{network}-batchnorm"
    return Path(name) if not network.exists() and name in names() else None


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
