"""Training a complete run from its config into a folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from conductance.allocator import keep_freed_memory
from conductance.checked import checked
from conductance.data import FOLDER, Dataset, DeviceLoader, load_dataset, split_validation
from conductance.errors import InputError
from conductance.printable import printable
from conductance.runs import provenance
from conductance.runs.config import RunConfig
from conductance.runs.folder import RunFolder
from conductance.runs.schema import read_summary
from conductance.training import build
from conductance.training.callbacks import Callbacks
from conductance.training.config import TrainingConfig
from conductance.training.device import flushing_denormals
from conductance.training.processes import Processes
from conductance.training.randomness import own_random_numbers
from conductance.training.record import RunRecord
from conductance.training.room import require_room
from conductance.training.teacher import TaughtObjective, build_teacher
from conductance.training.trainer import Trainer

VALIDATION_SEED = 0  # the held-out images are the same for every seed of a preset


@checked
@flushing_denormals()
def train(
    config: RunConfig,
    out: Path,
    *,
    data_dir: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    sharded: bool = False,
    console: Console | None = None,
    command: str | None = None,
    callbacks: Iterable[Any] = (),
) -> dict[str, Any]:
    """Train one network, and keep everything about the run in a folder.

    Args:
        config: the complete run.
        out: its folder. It must not hold another run.
        data_dir: folder to search for the data set first; the images of the data set "folder".
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
        resume: continue the run in ``out``; the result is that of a run that never stopped. A finished run is left
            unchanged.
        sharded: of several processes, have each hold a part of every parameter only, as for `Trainer`.
        console: where to show progress; None to show nothing.
        command: the command to record as the one that reproduces the run; by default the one that was typed.
        callbacks: as `Trainer` takes them.

    Returns:
        The content of ``summary.json``; accuracies are in %.

    Raises:
        ConductanceError: a name, file or folder cannot be used, or another process works on the folder. All of this is
            checked before training starts.
        NonFiniteLossError: the loss became infinite or NaN. The checkpoint of the last good epoch is kept.
    """
    folder = RunFolder(out)
    processes = Processes(device, config.precision)

    def is_finished() -> bool:
        folder.check(config, resume=resume)
        return resume and folder.finished

    with processes.alive(str(out), kept=True):
        if not processes.from_first(is_finished):
            dataset = processes.one_ahead(
                lambda: load_dataset(config.data.dataset, data_dir, image_size=config.data.image_size)
            )
            with processes.together():
                require_room(config, dataset, processes.device, processes.count if sharded else 1)
            keep_freed_memory()
            accelerator = torch.accelerator.current_accelerator() if device != "cpu" else None
            with own_random_numbers(accelerator or torch.device("cpu")):
                trainer = build_trainer(config, dataset, device=device, sharded=sharded, console=console)
                teacher = build_teacher(config, dataset, trainer.data.preprocessing)
            if teacher is not None:
                trainer.objective = TaughtObjective(teacher, trainer.objective, trainer.accelerator.autocast)
            trainer.record = RunRecord(
                folder,
                config,
                teacher=teacher.description if teacher is not None else None,
                **({"classes": list(dataset.classes)} if config.data.dataset == FOLDER else {}),
                command=printable(command or provenance.command_line()),
            )
            trainer.folder = out
            trainer.callbacks = Callbacks(callbacks)
            trainer.fit(resume=resume)
        return processes.from_first(lambda: read_summary(folder.summary_file))


def build_trainer(
    config: RunConfig,
    dataset: Dataset,
    *,
    device: str = "auto",
    sharded: bool = False,
    console: Console | None = None,
) -> Trainer:
    """The trainer of a complete run with its initialized network, without a folder and without a teacher.

    Raises:
        ConductanceError: the config does not fit the data set.
    """
    train, validation = split_validation(dataset.train, config.data.validation_images, VALIDATION_SEED)
    torch.manual_seed(config.seed)
    preprocessing = build.build_preprocessing(config, train)
    network = build.build_network(config, dataset)
    first = preprocessing(train.pixels[: build.BALANCE_IMAGES])
    _check_range(config, first)
    build.initialize(network, config.conductance, first)
    loader = DeviceLoader(
        train,
        config.data.batch_size,
        preprocessing=preprocessing,
        augmentation=build.build_augmentation(config),
        mixing=build.build_mixing(config, dataset.num_classes),
        shuffle=True,
        seed=config.seed,
    )
    trainer = Trainer(
        network,
        loader,
        TrainingConfig.of(config),
        validation=dataset.validation if validation is None else validation,
        test=dataset.test,
        device=device,
        sharded=sharded,
        progress=console or False,
    )
    trainer.remedy = (
        "A smaller --optimizer.learning-rate (for hidden layers) or --optimizer.readout-learning-rate (for all other "
        "weights) may help"
    )
    return trainer


def _check_range(config: RunConfig, batch: Tensor) -> None:
    """Check that the images are open probabilities, which conductance layers need."""
    low, high = float(batch.min()), float(batch.max())
    if build.kind_of_preprocessing(config) != "whitened" and not (low >= 0 and high <= 1):
        raise InputError(
            f"{config.data.dataset}: inputs lie in [{low:g}, {high:g}], but open probabilities must lie in [0, 1]; "
            "choose --data.preprocessing scaled or unit"
        )
