"""The command line of an experiment that measures CIFAR-10 networks, writes one table and draws one figure of it."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from conductance.files import write_text


def command_line(
    description: str | None,
    measure: Callable[..., None],
    figure: Callable[[Path], str],
    name: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """``--data-dir D``: measure into ``results/NAME.csv``, draw it as ``docs/NAME.svg``.

    Args:
        description: what ``--help`` says.
        measure: ``measure(file, data_dir=..., console=...)`` writes the table.
        figure: from the table's file to a page of SVG.
        name: of both files.
        arguments: as typed by default.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-dir", type=Path, help="where to look for CIFAR-10 first")
    choices = parser.parse_args(arguments)
    results = Path(f"results/{name}.csv")
    measure(results, data_dir=choices.data_dir, console=Console())
    write_text(Path(f"docs/{name}.svg"), figure(results))
