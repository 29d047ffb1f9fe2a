"""A teacher: a finished run's network, whose answers another learns beside the labels."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance.data import Dataset, Preprocessing
from conductance.errors import InputError
from conductance.runs.config import RunConfig
from conductance.runs.network import kind_of_preprocessing
from conductance.runs.run import Run
from conductance.training.objective import Objective
from conductance.transform import freeze


class Teacher:
    """Distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531), on the very images that the network sees.

    With the teacher's logits t, the network's s, the share a and the temperature T:

        loss = (1 - a) loss of the labels + a T^2 KL(softmax(t / T) || softmax(s / T))

    Args:
        config: of the network that learns; names the teacher's folder, a and T.
        dataset: the data set of both.
        preprocessing: of the network that learns.

    Raises:
        RunError: no finished run in that folder.
        InputError: it learnt other data, or images that this run holds out, or it cannot see what the network sees.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, preprocessing: Preprocessing) -> None:
        assert config.teacher.run is not None
        self.share, self.temperature = config.teacher.share, config.teacher.temperature
        run = Run(config.teacher.run, dataset=dataset)
        _check(config, run.config)
        network, summary = run.network, run.summary or {}
        fields = ("name", "seed", "epochs", "test_accuracy", "git_commit")
        self.description = {name: summary.get(name) for name in fields}
        device = preprocessing.scale.device
        self.network = freeze(network.to(device))
        self.preprocessing, self.seen_by_network = run.preprocessing.to(device), preprocessing

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """What the teacher says of the network's inputs, (B, C, H, W): float32, (B, K)."""
        if self.seen_by_network.kind != "scaled":  # else the teacher's is scaled too
            inputs = self.preprocessing.of_values(self.seen_by_network.values_of(inputs))
        return self.network(inputs).float()

    def loss(self, inputs: Tensor, logits: Tensor, loss_of_labels: Tensor) -> Tensor:
        """The loss of the network's ``logits`` on its ``inputs``, given the loss of the labels."""
        taught = F.log_softmax(self.logits(inputs) / self.temperature, dim=1)
        learnt = F.log_softmax(logits.float() / self.temperature, dim=1)
        distance = F.kl_div(learnt, taught, reduction="batchmean", log_target=True)
        return torch.lerp(loss_of_labels, self.temperature**2 * distance, self.share)


class TaughtObjective(Objective):
    """What a network is trained for that learns from a teacher beside the labels.

    Args:
        teacher: gives its answers to the network's inputs.
        labels: the objective of the labels.
        autocast: makes the context of the precision that the teacher computes in.
    """

    def __init__(
        self, teacher: Teacher, labels: Objective, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        super().__init__(labels.loss, labels.label_smoothing)
        self.teacher, self.autocast = teacher, autocast

    def training_loss(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over a batch: of the labels' loss and the distance from the teacher."""
        loss = super().training_loss(inputs, outputs, targets)
        with self.autocast():
            return self.teacher.loss(inputs, outputs, loss)


def _check(config: RunConfig, teacher: RunConfig) -> None:
    where, held_out = f"teacher.run={config.teacher.run}", config.data.validation_images
    if teacher.data.dataset != config.data.dataset:
        raise InputError(f"{where} learnt {teacher.data.dataset}, not {config.data.dataset}; choose another teacher")
    if held_out and teacher.data.validation_images != held_out:
        raise InputError(
            f"{where} learnt from images that this run holds out; train the teacher with "
            f"--data.validation-images {held_out} too"
        )
    if kind_of_preprocessing(config) == "scaled" and kind_of_preprocessing(teacher) != "scaled":
        raise InputError(
            f"{where} sees dark pixels, which data.preprocessing=scaled clips; choose --data.preprocessing unit"
        )


def build_teacher(config: RunConfig, dataset: Dataset, preprocessing: Preprocessing | None) -> Teacher | None:
    """The config's teacher, if it has one."""
    if config.teacher.run is None:
        return None
    assert preprocessing is not None
    return Teacher(config, dataset, preprocessing)
