"""``conductance evaluate``: test the network of a finished run again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console


@dataclass
class EvaluateArguments:
    """Test the network of a finished run again, on the test images of its data set."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """the run's folder"""
    data_dir: Path | None = None
    """folder to search for the data set first"""


def run(arguments: list[str]) -> None:
    """Print accuracy and loss in one line."""
    chosen = parse(EvaluateArguments, "evaluate", arguments)
    from conductance.runs import load_run
    from conductance.training import evaluate

    trained = load_run(chosen.run, chosen.data_dir)
    loss, accuracy = evaluate(trained.network, trained.preprocessing, trained.dataset.test)
    images = len(trained.dataset.test)
    console.print(
        f"{trained.config.name}: test accuracy {accuracy:.2f} %, loss {loss:.4f} on {images} images",
        markup=False,
        soft_wrap=True,
    )
