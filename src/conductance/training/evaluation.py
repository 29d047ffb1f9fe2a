"""Evaluation: loss and accuracy of a network on data."""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from conductance.checked import checked
from conductance.data import DeviceLoader, Images
from conductance.data.batches import Batch
from conductance.errors import InputError
from conductance.finite import require_finite
from conductance.nested import Nested, map_tensors, tensors_of, to_device
from conductance.nn.modes import evaluating
from conductance.training.objective import Objective, examples_in
from conductance.training.tally import Tally

EVALUATION_BATCH = 500


@checked
def evaluate(network: nn.Module, preprocessing: nn.Module, images: Images) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (in %) of a network on images, in evaluation mode.

    The mode of the network is restored afterwards.

    Raises:
        InputError: the network, or what it answers, holds infinite values or NaN.
    """
    require_finite(network, "evaluated")
    loader = DeviceLoader(images, EVALUATION_BATCH, preprocessing=preprocessing, shuffle=False)
    tally = evaluate_batches(network, loader, Objective(), images.device)
    accuracy = tally.accuracy()
    assert accuracy is not None
    if not math.isfinite(loss := tally.loss()):
        raise InputError(f"the loss is {loss}: the network's answers are not finite; check it (conductance.check)")
    return loss, accuracy


@torch.no_grad()
def evaluate_batches(
    network: nn.Module,
    batches: Iterable[Batch],
    objective: Objective,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tally:
    """Sum loss and correct answers over all batches, in evaluation mode.

    The mode of the network is restored afterwards.

    Args:
        network: any module.
        batches: inputs and targets.
        objective: the loss.
        device: where the network is.
        autocast: makes a context of the precision to compute in; float32 if left out.
    """
    tally = Tally()
    with evaluating(network):
        for batch in batches:
            inputs, targets = to_device(batch, device)
            with autocast():
                outputs = forward(network, inputs)
            outputs = in_float32(outputs)
            if tally.steps == 0:
                objective.check(outputs, targets)
            loss, size = objective.evaluation_loss(outputs, targets), examples_in(batch)
            if size:
                tally.add(loss, size, objective.correct(outputs, targets), (inputs, targets))
    return tally


@torch.no_grad()
def predicted_classes(
    network: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The class that a network predicts for each example, and its label; None where they are no classes.

    Args:
        network: any module.
        batches: inputs and targets.
        device: where the network is.
        autocast: as for `evaluate_batches`.
    """
    found, labels = [], []
    with evaluating(network):
        for batch in batches:
            inputs, targets = to_device(batch, device)
            with autocast():
                outputs = forward(network, inputs)
            if not _are_classes(outputs, targets):
                return None
            found.append(in_float32(outputs).argmax(1).cpu())
            labels.append(targets.cpu())
    return (torch.cat(found).numpy(), torch.cat(labels).numpy()) if found else None


def _are_classes(outputs: Nested, targets: Nested) -> bool:
    """Whether there is one class for each example."""
    both = isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor)
    return both and outputs.ndim == 2 and targets.ndim == 1 and not targets.is_floating_point()


def forward(network: nn.Module, inputs: Nested) -> Nested:
    """Call a network: a tuple holds its arguments, a dict its keyword arguments."""
    if isinstance(inputs, dict):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


def in_float32(outputs: Nested) -> Nested:
    """Convert half-precision tensors to float32, in which losses are computed."""
    half = (torch.float16, torch.bfloat16)
    if not any(tensor.dtype in half for tensor in tensors_of(outputs)):
        return outputs
    return map_tensors(lambda tensor: tensor.float() if tensor.dtype in half else tensor, outputs)
