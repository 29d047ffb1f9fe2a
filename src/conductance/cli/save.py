"""``conductance save``: the network of a finished run in a folder to share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console


@dataclass
class SaveArguments:
    """Save the network of a finished run in a folder of its own, to load without the run, without its data and without
    running any code: weights, a description, and a page about it."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """the run's folder"""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """folder to write"""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """type of the numbers in the file; as in the run if not given. The network is tested as it is saved"""
    overwrite: bool = False
    """replace a network saved there before"""
    data_dir: Path | None = None
    """folder to search for the run's data set first"""


def run(arguments: list[str]) -> None:
    """Save, and print where and how well the network does."""
    chosen = parse(SaveArguments, "save", arguments)
    from conductance.share.run import save_run

    measured = save_run(
        chosen.run, chosen.out, dtype=chosen.dtype, data_dir=chosen.data_dir, overwrite=chosen.overwrite
    )
    console.print(
        f"saved: {chosen.out} (test accuracy {measured['test_accuracy']:.2f} % on {measured['images']} images)",
        markup=False,
        soft_wrap=True,
    )
