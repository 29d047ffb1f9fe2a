"""Whole training steps: forward, backward and the optimizer, for the paper's three networks."""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

from conductance import kernels, optim
from conductance.bench.layers import COLOUR_IMAGE, NETWORKS, channels_last
from conductance.bench.rounds import BASELINE, Timing, take_turns
from conductance.models import create_model

FAMILIES = {BASELINE: "affine_bn", "affine+ReLU": "affine", "CWA": "cwa"}


def bench_training(device: torch.device, rounds: int, networks: dict[str, int] = NETWORKS) -> Iterator[Timing]:
    """Time one step of Adam on random images, for each network and family.

    The paper's conductance networks read the image twice, so their first layers have twice the synapses of the affine
    ones: 71 % more in all for the fully connected network.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        networks: architectures and the images in a batch.
    """
    kernels.use_average(None)
    for architecture, batch_size in networks.items():
        steps = {name: _step(architecture, family, batch_size, device) for name, family in FAMILIES.items()}
        yield from take_turns(f"{architecture}, batch {batch_size}", steps, rounds, device)


def _step(architecture: str, family: str, batch_size: int, device: torch.device) -> Callable[[], object]:
    model = create_model(architecture, family, COLOUR_IMAGE, 10)
    channels_last(model.to(device))
    optimizer = optim.create_optimizer(model, "adam", 1e-3)
    images = torch.rand(batch_size, *COLOUR_IMAGE, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch_size,), device=device)

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
