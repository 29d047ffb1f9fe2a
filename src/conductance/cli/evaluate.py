"""``conductance evaluate``: test the network of a finished run, or a saved one, again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console


@dataclass
class EvaluateArguments:
    """Test the network of a finished run, or a saved one, again, on the test images of its data set."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """the folder of a run or of a saved network; or the name of one that comes along (see conductance models)"""
    data_dir: Path | None = None
    """folder to search for the data set first"""


def run(arguments: list[str]) -> None:
    """Print accuracy and loss in one line."""
    chosen = parse(EvaluateArguments, "evaluate", arguments)
    from conductance.share.places import is_saved, require_place

    require_place(chosen.run)
    if is_saved(chosen.run):
        from conductance.share.run import evaluate_saved

        # a name stays a word, for a path has a folder to it
        measured = evaluate_saved(chosen.run if chosen.run.exists() else str(chosen.run), chosen.data_dir)
        _show(str(chosen.run), measured["test_accuracy"], measured["test_loss"], measured["images"])
        return
    from conductance.runs import load_run
    from conductance.training import evaluate

    trained = load_run(chosen.run, chosen.data_dir)
    loss, accuracy = evaluate(trained.network, trained.preprocessing, trained.dataset.test)
    _show(trained.config.name, accuracy, loss, len(trained.dataset.test))


def _show(name: str, accuracy: float, loss: float, images: int) -> None:
    console.print(
        f"{name}: test accuracy {accuracy:.2f} %, loss {loss:.4f} on {images} images", markup=False, soft_wrap=True
    )
