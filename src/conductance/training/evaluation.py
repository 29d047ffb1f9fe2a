"""How good a network is."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from conductance.data import DeviceLoader, Images
from conductance.data.batches import Batch
from conductance.nested import Nested, all_finite, map_tensors, tensors_of, to_device
from conductance.nn.modes import evaluating
from conductance.training.objective import Objective, batch_length
from conductance.training.tally import Tally

EVALUATION_BATCH = 500


def evaluate(network: nn.Module, preprocessing: nn.Module, images: Images) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in %, in evaluation mode; the network is left as it was."""
    loader = DeviceLoader(images, EVALUATION_BATCH, preprocessing=preprocessing, shuffle=False)
    tally = evaluate_batches(network, loader, Objective(), images.device)
    accuracy = tally.accuracy()
    assert accuracy is not None
    return tally.loss(), accuracy


@torch.no_grad()
def evaluate_batches(
    network: nn.Module,
    batches: Iterable[Batch],
    objective: Objective,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tally:
    """The sums of loss and correct answers over all batches, in evaluation mode; the network is left as it was.

    Args:
        network: any module.
        batches: inputs and targets.
        objective: judges the outputs.
        device: where the network is.
        autocast: makes the context of the precision to compute in; float32 where left out.
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
            loss = objective.evaluation_loss(outputs, targets)
            correct, finite = objective.correct(outputs, targets), all_finite(inputs, targets)
            tally.add(loss, batch_length(targets), correct, finite)
    return tally


def forward(network: nn.Module, inputs: Nested) -> Nested:
    """The network's answer: a tuple of inputs are its arguments, a dict its keyword arguments."""
    if isinstance(inputs, dict):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


def in_float32(outputs: Nested) -> Nested:
    """Half-precision tensors as float32, in which losses are computed."""
    half = (torch.float16, torch.bfloat16)
    if not any(tensor.dtype in half for tensor in tensors_of(outputs)):
        return outputs
    return map_tensors(lambda tensor: tensor.float() if tensor.dtype in half else tensor, outputs)


def measured(tally: Tally, prefix: str = "") -> dict[str, float]:
    """Loss, and accuracy in % where there is one, by name."""
    accuracy = tally.accuracy()
    return {f"{prefix}loss": tally.loss()} | ({} if accuracy is None else {f"{prefix}accuracy": accuracy})
