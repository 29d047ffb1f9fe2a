"""A run read back from its folder."""

import warnings
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from conductance.data import Dataset, Preprocessing, load_dataset
from conductance.errors import DataError, RunError, one_line
from conductance.runs.config import RunConfig
from conductance.runs.folder import RunFolder
from conductance.runs.network import build_network, kind_of_preprocessing
from conductance.runs.predictions import Predictions
from conductance.runs.schema import Record, config_of, read_epochs, read_internals, read_settings, read_summary


class Run:
    """One training run on disk. Each file is read and checked when it is first used, and then kept.

    Args:
        path: the run's folder.
        data_dir: where to look for its data set first.
        dataset: its data set, where that is in memory already.

    Every attribute below raises `RunError` where its file is missing or damaged: one line that names the file, the
    field and the remedy.
    """

    def __init__(self, path: str | Path, data_dir: Path | None = None, dataset: Dataset | None = None) -> None:
        self.folder = RunFolder(Path(path))
        self._data_dir = data_dir
        self._dataset = dataset

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @cached_property
    def settings(self) -> Record:
        """The recorded config as plain values. A field that did not exist yet when the run was made is missing."""
        return read_settings(self.folder.config_file)

    @cached_property
    def config(self) -> RunConfig:
        """The config, with a value for every field."""
        return config_of(self.settings, self.folder.config_file)

    @cached_property
    def epochs(self) -> tuple[Record, ...]:
        """One record of metrics for each finished epoch."""
        file = self.folder.metrics_file
        return read_epochs(file, finished=self.finished) if self.finished or file.exists() else ()

    @cached_property
    def summary(self) -> Record | None:
        """How the run ended; None while it is unfinished."""
        return read_summary(self.folder.summary_file) if self.finished else None

    @cached_property
    def internals(self) -> Record | None:
        """Counts of what happens in each layer of conductances, see `conductance.analysis.internals`; or None."""
        file = self.folder.internals_file
        return read_internals(file) if file.exists() else None

    @cached_property
    def predictions(self) -> Predictions | None:
        """The answer for each test image after the last epoch; None where they were not kept."""
        file = self.folder.predictions_file
        return Predictions.read(file) if file.exists() else None

    @property
    def finished(self) -> bool:
        """Whether the run has reached its end."""
        return self.folder.finished

    @property
    def seed(self) -> int:
        """The seed it was started with."""
        return self.settings["seed"]

    @property
    def kind(self) -> tuple[str, str, str]:
        """Data set, architecture and family."""
        model = self.settings["model"]
        return self.settings["data"]["dataset"], model["architecture"], model["family"]

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        return f"seed {self.seed}: {len(self.epochs)} of {self.settings['epochs']} epochs"

    @cached_property
    def dataset(self) -> Dataset:
        """The data it was trained and tested on.

        Raises:
            DataError: the data set cannot be found, or is a folder of images with other classes.
        """
        data = self.config.data
        dataset = self._dataset or load_dataset(data.dataset, self._data_dir, image_size=data.image_size)
        classes = (self.summary or {}).get("classes")
        if classes is not None and list(dataset.classes) != classes:
            raise DataError(
                f"{self._data_dir} has the classes {', '.join(dataset.classes)}, but {self.path} was trained on "
                f"{', '.join(classes)}; name the folder that it was trained on"
            )
        return dataset

    @property
    def network(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        return self._trained[0]

    @property
    def preprocessing(self) -> Preprocessing:
        """What turns uint8 images into the network's input."""
        return self._trained[1]

    def _require_sizes(self, config: RunConfig, numbers: int) -> None:
        """Check before memory is taken that a network with such layers can have as few numbers as the file holds."""
        widest = max(config.model.widths or (1,))
        interneurons = config.conductance.interneurons if config.model.family == "cwa_li" else 0
        for field, least in (
            ("model.widths", widest),
            ("model.kernel", (config.model.kernel or 1) ** 2),
            ("conductance.interneurons", interneurons * widest),
        ):
            if least > numbers:
                raise RunError(
                    f"{self.folder.weights_file} holds {numbers:,} numbers, too few for the {field} of "
                    f"{self.folder.config_file}; delete the folder and repeat that run"
                )

    @cached_property
    def _trained(self) -> tuple[nn.Module, Preprocessing]:
        config, weights = self.config, self.folder.read_weights()
        self._require_sizes(config, sum(value.numel() for value in weights.values()))
        network = build_network(config, self.dataset)
        preprocessing = Preprocessing(kind_of_preprocessing(config), self.dataset.input_shape[0])
        try:
            with warnings.catch_warnings():  # weights of 0.1 do not say what they mean, but the config does
                warnings.filterwarnings("ignore", "a state dict of version 0.1")
                network.load_state_dict(_part(weights, "network."))
            preprocessing.load_state_dict(_part(weights, "preprocessing."))
        except RuntimeError as error:
            raise RunError(
                f"{self.folder.weights_file} does not fit {self.folder.config_file}: {one_line(error):.300}; delete "
                "the folder and repeat that run"
            ) from None
        return network.eval(), preprocessing.eval()


def load_run(run: str | Path, data_dir: Path | None = None, dataset: Dataset | None = None) -> Run:
    """Load a finished run with its trained network.

    >>> run = load_run("runs/mnist-cnn-cwa-seed0")  # doctest: +SKIP
    >>> run.network(run.preprocessing(run.dataset.test.pixels[:10]))  # doctest: +SKIP

    Args:
        run: its folder.
        data_dir: where to look for its data set first.
        dataset: its data set, where that is in memory already.

    Raises:
        RunError: no finished run there, or weights that do not fit its config.
        DataError: its data set cannot be found.
    """
    loaded = Run(run, data_dir, dataset)
    _ = loaded.network
    return loaded


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
