"""The random numbers of a training: its own, and repeatable."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of the random generators of Python, numpy and torch, on the CPU and on ``device``.

    Plain values and tensors, which a checkpoint may hold.
    """
    numbers = np.random.get_state(legacy=False)  # noqa: NPY002 (what others draw from)
    _, words, next_gauss = random.getstate()
    state: dict[str, Any] = {
        "cpu": torch.get_rng_state(),
        "python": [list(words), next_gauss],
    }
    if numbers["bit_generator"] == "MT19937":  # numpy's own
        key = torch.from_numpy(numbers["state"]["key"].astype(np.int64))
        state["numpy"] = [key, numbers["state"]["pos"], numbers["has_gauss"], numbers["gauss"]]
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state()
    return state


def set_random_state(device: torch.device, state: Mapping[str, Any]) -> None:
    """Go on from `random_state`. What the state lacks, such as that of another kind of device, stays as it is."""
    torch.set_rng_state(state["cpu"])
    if "numpy" in state:
        key, *rest = state["numpy"]
        np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    if "python" in state:
        words, next_gauss = state["python"]
        random.setstate((random.getstate()[0], tuple(words), next_gauss))
    if device.type != "cpu" and "device" in state:
        torch.get_device_module(device).set_rng_state(state["device"])


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch.

    Not with the number itself: a network that was made with the same seed would have its weights and its training
    decided by the same draws.
    """
    derived = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    random.seed(derived)
    np.random.seed(derived)  # noqa: NPY002
    torch.manual_seed(derived)


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """For a block; afterwards the caller's generators go on as if nothing had been drawn."""
    before = random_state(device)
    try:
        yield
    finally:
        set_random_state(device, before)
