"""Whole training steps: forward, backward and the optimizer, for the paper's three networks."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn import functional as F

from conductance import kernels, optim
from conductance.bench.layers import COLOUR_IMAGE, NETWORKS, channels_last
from conductance.bench.rounds import BASELINE, TUNED, Timing, take_turns
from conductance.bench.tuned import tuned
from conductance.kernels.onednn import faster_products
from conductance.models import create_model
from conductance.optim.optimizer import RuleName

FAMILIES = {BASELINE: "affine_bn", TUNED: "affine_bn", "affine+ReLU": "affine", "CWA": "cwa"}
STEPS: dict[RuleName, float | None] = {"adam": 1e-3, "muon": None}  # of each optimizer; None for its own


def bench_training(
    device: torch.device,
    rounds: int,
    networks: dict[str, int] = NETWORKS,
    optimizers: Sequence[RuleName] = ("adam", "muon"),
    *,
    keep_memory: bool = True,
) -> Iterator[Timing]:
    """Time one step on random images, for each network and family: with Adam, then with Muon, the presets' optimizer.

    On a CPU there are two baselines: torch's own layers, and `tuned` ones.

    The paper's conductance networks read the image twice, so their first layers have twice the synapses of the affine
    ones: 71 % more in all for the fully connected network.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        networks: architectures and the images in a batch.
        optimizers: one after the other.
        keep_memory: have the process keep freed memory, as training does.
    """
    kernels.use_average(None)
    present = [name for name in FAMILIES if name != TUNED or device.type == "cpu"]
    for optimizer in optimizers:
        for architecture, batch_size in networks.items():
            steps = {name: _step(architecture, name, optimizer, batch_size, device) for name in present}
            case = f"{architecture}, batch {batch_size}, {optimizer}"
            yield from take_turns(case, steps, rounds, device, keep_memory=keep_memory)


def bench_loop(device: torch.device, rounds: int, networks: dict[str, int] = NETWORKS) -> Iterator[Timing]:
    """The same steps with Adam in a user's own loop, which leaves the system's allocator as it is.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        networks: architectures and the images in a batch.
    """
    return bench_training(device, rounds, networks, ("adam",), keep_memory=False)


def _step(architecture: str, name: str, rule: RuleName, batch_size: int, device: torch.device) -> Callable[[], object]:
    model = create_model(architecture, FAMILIES[name], COLOUR_IMAGE, 10)
    channels_last(model.to(device))
    optimizer = optim.create_optimizer(model, rule, STEPS[rule])
    if name == TUNED:
        tuned(model)
    images = torch.rand(batch_size, *COLOUR_IMAGE, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch_size,), device=device)

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return faster_products()(step) if name == TUNED else step
