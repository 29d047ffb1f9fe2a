"""The forward pass alone, without gradients, for the paper's three networks."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from conductance import kernels
from conductance.bench.layers import COLOUR_IMAGE, NETWORKS, channels_last
from conductance.bench.rounds import BASELINE, TUNED, Timing, take_turns
from conductance.bench.tuned import tuned
from conductance.kernels.onednn import faster_products
from conductance.models import create_model
from conductance.transform import freeze


def bench_inference(device: torch.device, rounds: int, networks: dict[str, int] = NETWORKS) -> Iterator[Timing]:
    """Time one batch of random images through each network, as trained and as `freeze` makes it.

    The baselines are frozen too: BatchNorm is folded into their affine layers.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        networks: architectures and the images in a batch.
    """
    kernels.use_average(None)
    for architecture, batch_size in networks.items():
        affine, normed, averaging = (_model(architecture, family, device) for family in ("affine", "affine_bn", "cwa"))
        images = torch.rand(batch_size, *COLOUR_IMAGE, device=device).to(memory_format=torch.channels_last)
        on_cpu = device.type == "cpu"
        fair = {TUNED: faster_products()(_pass(tuned(freeze(normed)), images))} if on_cpu else {}
        contenders = {
            BASELINE: _pass(freeze(normed), images),
            **fair,
            "affine+ReLU": _pass(freeze(affine), images),
            "CWA": _pass(averaging, images),
            "CWA frozen": _pass(freeze(averaging), images),
        }
        yield from take_turns(f"{architecture}, batch {batch_size}", contenders, rounds, device)


def _model(architecture: str, family: str, device: torch.device) -> nn.Module:
    return channels_last(create_model(architecture, family, COLOUR_IMAGE, 10).to(device)).eval()


def _pass(model: nn.Module, images: Tensor) -> Callable[[], object]:
    def run() -> Tensor:
        with torch.inference_mode():
            return model(images)

    return run
