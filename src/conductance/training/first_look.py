"""Checks of a batch before it is trained on: whether data, network and loss fit together."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from conductance.data.batches import Batch
from conductance.nested import Nested, described, tensors_of, to_device
from conductance.nn import AveragingLayer
from conductance.nn.modes import call, evaluating
from conductance.nn.visit import visit
from conductance.training.evaluation import in_float32

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer


@torch.no_grad()
def look_at(trainer: "Trainer", batch: Batch) -> None:
    """Run the network on a batch in evaluation mode, without training it.

    Raises:
        InputError: the network does not accept the inputs, an averaging layer reads values outside [0, 1], or the loss
            cannot be computed.
    """
    inputs, targets = to_device(batch, trainer.device)
    check_open_probabilities(trainer.network, inputs)
    with evaluating(trainer.network), trainer.accelerator.autocast():
        try:
            outputs = call(trainer.network, inputs)
        except RuntimeError as error:
            error.add_note(f"The network was given {described(inputs)}.")
            raise
    trainer.objective.check(in_float32(outputs), targets)


def check_open_probabilities(network: nn.Module, inputs: Nested) -> None:
    """Check the inputs of all averaging layers on a batch. A network without such layers is not run.

    Raises:
        InputError: a layer is given values that are not open probabilities, see `conductance.nn.visit.visit`.
    """
    if not any(isinstance(layer, AveragingLayer) for layer in network.modules()):
        return
    devices = [tensor.device for tensor in tensors_of(inputs) if tensor.device.type == "cuda"]
    with torch.random.fork_rng(devices[:1]):
        visit(network, inputs, lambda _name, _layer, _p: None)
