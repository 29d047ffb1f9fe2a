"""The trained network of a finished run, with its data."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from conductance.data import Dataset, Preprocessing, load_dataset
from conductance.errors import RunError
from conductance.runs import network as networks
from conductance.runs.config import RunConfig
from conductance.runs.folder import RunFolder


@dataclass(frozen=True)
class TrainedRun:
    """A finished run whose network can be used.

    Attributes:
        config: what it was asked to be.
        dataset: the data it was trained and tested on.
        preprocessing: uint8 images to the network's input.
        network: the trained network, in evaluation mode.
    """

    config: RunConfig
    dataset: Dataset
    preprocessing: Preprocessing
    network: nn.Module


def load_run(run: Path, data_dir: Path | None = None, dataset: Dataset | None = None) -> TrainedRun:
    """Load a finished run from its folder.

    Args:
        run: the folder.
        data_dir: where to look for its data set first.
        dataset: its data set, where that is in memory already.

    Raises:
        RunError: no finished run there, or weights that do not fit its config.
        DataError: its data set cannot be found.
    """
    folder = RunFolder(run)
    config = folder.read_config()
    weights = folder.read_weights()
    dataset = dataset or load_dataset(config.data.dataset, data_dir, image_size=config.data.image_size)
    network = networks.build_network(config, dataset)
    preprocessing = Preprocessing(networks.kind_of_preprocessing(config), dataset.input_shape[0])
    try:
        network.load_state_dict(_part(weights, "network."))
        preprocessing.load_state_dict(_part(weights, "preprocessing."))
    except RuntimeError as error:
        raise RunError(f"{folder.weights_file} does not fit {folder.config_file}: {error}") from None
    return TrainedRun(config, dataset, preprocessing.eval(), network.eval())


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
