"""Distillation: a network learns the outputs of a trained network, its teacher, beside the labels."""

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
    """The network of a finished run, as a teacher (Hinton, Vinyals and Dean 2015, arXiv 1503.02531).

    It sees the same augmented images as the network that learns.

    With the teacher's logits t, the network's s, the share a and the temperature T:

        loss = (1 - a) * loss of the labels + a * T^2 * KL(softmax(t / T) || softmax(s / T))

    Args:
        config: of the run that learns; it names the teacher's folder, a and T.
        dataset: the data set of both runs.
        preprocessing: of the run that learns.

    Raises:
        RunError: no finished run in that folder.
        InputError: the teacher was trained on other data or on images that this run holds out, or its preprocessing
            cannot be computed from this run's inputs.
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
        """The teacher's logits, float32 (B, K), for the inputs (B, C, H, W) of the network that learns."""
        if self.seen_by_network.kind != "scaled":  # if it is, the teacher's is scaled too
            inputs = self.preprocessing.of_values(self.seen_by_network.values_of(inputs))
        return self.network(inputs).float()

    def loss(self, inputs: Tensor, logits: Tensor, loss_of_labels: Tensor) -> Tensor:
        """The whole loss, given the network's ``inputs``, its ``logits`` and its loss on the labels."""
        taught = F.log_softmax(self.logits(inputs) / self.temperature, dim=1)
        learnt = F.log_softmax(logits.float() / self.temperature, dim=1)
        distance = F.kl_div(learnt, taught, reduction="batchmean", log_target=True)
        return torch.lerp(loss_of_labels, self.temperature**2 * distance, self.share)


class TaughtObjective(Objective):
    """The objective of a network that learns from a teacher beside the labels.

    Args:
        teacher: computes the outputs to learn.
        labels: the objective of the labels.
        autocast: makes a context of the precision in which the teacher computes.
    """

    def __init__(
        self, teacher: Teacher, labels: Objective, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        super().__init__(labels.loss, labels.label_smoothing)
        self.teacher, self.autocast = teacher, autocast

    def training_loss(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean of the whole loss over a batch."""
        loss = super().training_loss(inputs, outputs, targets)
        with self.autocast():
            return self.teacher.loss(inputs, outputs, loss)


def _check(config: RunConfig, teacher: RunConfig) -> None:
    where, held_out = f"teacher.run={config.teacher.run}", config.data.validation_images
    if teacher.data.dataset != config.data.dataset:
        raise InputError(
            f"{where} was trained on {teacher.data.dataset}, not {config.data.dataset}; choose another teacher"
        )
    if held_out and teacher.data.validation_images != held_out:
        raise InputError(
            f"{where} was trained on images that this run holds out; train the teacher with "
            f"--data.validation-images {held_out} too"
        )
    if kind_of_preprocessing(config) == "scaled" and kind_of_preprocessing(teacher) != "scaled":
        raise InputError(
            f"{where} needs dark pixels, which data.preprocessing=scaled clips; choose --data.preprocessing unit"
        )


def build_teacher(config: RunConfig, dataset: Dataset, preprocessing: Preprocessing | None) -> Teacher | None:
    """The config's teacher; None if it has none."""
    if config.teacher.run is None:
        return None
    assert preprocessing is not None
    return Teacher(config, dataset, preprocessing)
