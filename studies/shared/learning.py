"""One training run of a study: a network learns from a few samples and is judged, sample by sample."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.optim import create_optimizer
from studies.shared.few_images import Part
from studies.shared.packing import packed

MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


def learn(
    network: nn.Module,
    part: Part,
    *,
    epochs: int,
    batch: int = 50,
    make: MakeOptimizer = create_optimizer,
    clip: float | None = None,
    answers: Callable[[Tensor], list[Tensor]] | None = None,
) -> None:
    """Train by cross-entropy; the steps rise for a tenth of the time and fall to zero in the rest.

    Args:
        network: from inputs to logits.
        part: what to learn from.
        epochs: how often.
        batch: samples in a step.
        make: the optimizer of a network.
        clip: the largest norm of all gradients together; None for any.
        answers: several logits for each sample, all of which are to be right; None for the network's own.
    """
    optimizer = make(network)
    highest = [group["lr"] for group in optimizer.param_groups]
    steps = epochs * -(-len(part) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, steps, pct_start=0.1, cycle_momentum=False)
    for _ in range(epochs):
        for chosen in torch.randperm(len(part)).split(batch):
            optimizer.zero_grad()
            given = [network(part.inputs[chosen])] if answers is None else answers(part.inputs[chosen])
            torch.stack([F.cross_entropy(each, part.labels[chosen]) for each in given]).mean().backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            schedule.step()


@torch.no_grad()
def is_right(network: nn.Module, part: Part, batch: int = 500) -> Tensor:
    """Which samples the network names correctly, (N,), bool."""
    answers = [network(inputs).argmax(1) for inputs in part.inputs.split(batch)]
    return torch.cat(answers) == part.labels


def judge(network: nn.Module, validation: Part, test: Part) -> dict[str, float | str]:
    """Accuracies in %, and which test samples are right (`packing.packed`)."""
    right = is_right(network, test)
    return {
        "validation": percent(is_right(network, validation)),
        "test": percent(right),
        "right": packed(right.numpy()),
    }


def percent(right: Tensor) -> float:
    """The share of what is right, in %, to two digits."""
    return round(100 * right.double().mean().item(), 2)
