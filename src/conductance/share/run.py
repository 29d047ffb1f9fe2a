"""The network of a finished run, saved with what is known about the run."""

from pathlib import Path
from typing import Any

from conductance.data import Dataset, load_dataset
from conductance.errors import SavedNetworkError
from conductance.report.portraits import grid_figure
from conductance.report.svg import figure_style, svg_page
from conductance.runs import DataConfig, Run, load_run
from conductance.share import weights
from conductance.share.classifier import ImageClassifier
from conductance.share.folders import check_place
from conductance.share.loading import load
from conductance.share.places import about
from conductance.share.saving import STORED, StoredType, save
from conductance.training import evaluate


def save_run(
    run: str | Path,
    folder: str | Path,
    *,
    dtype: StoredType | None = None,
    name: str | None = None,
    data_dir: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Save the network of a finished run, tested as it is saved: with its numbers rounded to the file's type.

    Args:
        run: its folder.
        folder: where to.
        dtype: as for `save`.
        name: as for `save`.
        data_dir: where to look for its data set first.
        overwrite: as for `save`.

    Returns:
        What was measured: accuracy in % and loss on the test images.

    Raises:
        ConductanceError: no finished run there, its data set is missing, or see `save`.
    """
    check_place(Path(folder), overwrite=overwrite)
    trained = load_run(run, data_dir)
    network, dataset = trained.network, trained.dataset
    network.load_state_dict(weights.rounded(network.state_dict(), STORED[dtype]))
    measured = _test(ImageClassifier(network, trained.preprocessing), dataset)
    save(
        network,
        folder,
        preprocessing=trained.preprocessing,
        classes=dataset.classes,
        input_shape=dataset.input_shape,
        accuracy=measured,
        command=(trained.summary or {}).get("command"),
        origin=_origin(trained, dtype),
        dtype=dtype,
        name=name,
        picture=_picture(trained),
        overwrite=overwrite,
    )
    return measured


def evaluate_saved(source: str | Path, data_dir: Path | None = None) -> dict[str, Any]:
    """Test a saved network again, on the test images of the data set that its description names.

    Args:
        source: as for `load`.
        data_dir: where to look for the data set first.

    Returns:
        As `save_run`.

    Raises:
        ConductanceError: no such network, its description names no data set, or that is missing.
    """
    description = about(source)
    name = (description.accuracy or {}).get("dataset")
    network = load(source)
    if not isinstance(name, str) or not isinstance(network, ImageClassifier):
        raise SavedNetworkError(f"{source} does not say on which images it was tested; test what load returns yourself")
    height = DataConfig.image_size if network.input_shape is None else network.input_shape[1]
    return _test(network, load_dataset(name, data_dir, image_size=height))


def _test(network: ImageClassifier, dataset: Dataset) -> dict[str, Any]:
    loss, accuracy = evaluate(network.network, network.preprocessing, dataset.test)
    return {"test_accuracy": accuracy, "test_loss": loss, "images": len(dataset.test), "dataset": dataset.name}


def _origin(trained: Run, dtype: StoredType | None) -> dict[str, Any]:
    summary = trained.summary or {}
    known = ("family", "seed", "epochs", "git_commit", "versions", "hardware")
    said = {"run": summary.get("name"), **{key: summary.get(key) for key in known}, "stored_as": dtype}
    return {key: value for key, value in said.items() if value is not None}


def _picture(trained: Run) -> str | None:
    if trained.internals is None or not trained.internals["layers"]:
        return None
    with figure_style():
        figure = grid_figure(trained.internals["layers"])
        figure.set_facecolor("white")
        return svg_page(figure)
