"""Whether a run fits into memory, told before its network is made."""

import torch

from conductance.data import Dataset
from conductance.errors import InputError
from conductance.memory import NotEnoughMemoryError, require_memory
from conductance.optim import estimate
from conductance.runs.config import RunConfig
from conductance.training.build import build_network


def require_room(config: RunConfig, dataset: Dataset, device: torch.device, parts: int = 1) -> None:
    """Refuse a run that would take more memory than is free.

    Args:
        config: the run.
        dataset: its images, which are in the processor's memory already.
        device: where it is to be trained.
        parts: number of processes that divide parameters, gradients and the optimizer's state among them. Each of them
            makes the whole network first.

    Raises:
        NotEnoughMemoryError: it does not fit; names the options that make it large.
    """
    sizes = _sizes(config)
    try:
        with torch.device("meta"):
            network = build_network(config, dataset)
            batch = torch.empty(min(config.data.batch_size, len(dataset.train)), *dataset.input_shape)
    except NotEnoughMemoryError as error:
        raise NotEnoughMemoryError(f"{sizes}: {error}") from None
    except RuntimeError as error:  # torch counts bytes with 64 bits
        raise InputError(f"{sizes}: no memory is that large; choose smaller numbers") from error
    images = dataset.train.pixels.numel() + dataset.test.pixels.numel()
    found = estimate(
        network,
        batch,
        optimizer=config.optimizer.name,
        averaged=config.optimizer.weight_average > 0,
        data=0 if device.type == "cpu" else images,
    )
    divided = (found.parameters + found.gradients + found.optimizer) // parts
    needed = max(found.parameters, divided + found.activations + found.data)
    require_memory(needed, f"{sizes}: training", f"{found.parts}; choose smaller numbers", device)


def _sizes(config: RunConfig) -> str:
    """The options that make a run large, and their values."""
    chosen = {
        "model.widths": config.model.widths,
        "model.kernel": config.model.kernel,
        "conductance.interneurons": config.conductance.interneurons if config.model.family == "cwa_li" else None,
        "data.batch_size": config.data.batch_size,
    }
    return ", ".join(f"{name}={value}" for name, value in chosen.items() if value is not None)
