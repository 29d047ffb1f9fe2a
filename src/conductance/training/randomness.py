"""Random numbers of a training: repeatable, and separate from those of the rest of the program."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of the random number generators of Python, numpy and torch (CPU and ``device``).

    They are plain values and tensors, so that a checkpoint can hold them.
    """
    numbers = np.random.get_state(legacy=False)  # noqa: NPY002 (the generator that other code uses)
    _, words, next_gauss = random.getstate()
    state: dict[str, Any] = {
        "cpu": torch.get_rng_state(),
        "python": [list(words), next_gauss],
    }
    if numbers["bit_generator"] == "MT19937":  # numpy's default
        key = torch.from_numpy(numbers["state"]["key"].astype(np.int64))
        state["numpy"] = [key, numbers["state"]["pos"], numbers["has_gauss"], numbers["gauss"]]
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state()
    return state


def set_random_state(device: torch.device, state: Mapping[str, Any]) -> None:
    """Restore `random_state`. Generators that the state lacks, such as another device's, are left unchanged."""
    torch.set_rng_state(state["cpu"])
    if "numpy" in state:
        key, *rest = state["numpy"]
        np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    if "python" in state:
        words, next_gauss = state["python"]
        random.setstate((random.getstate()[0], tuple(words), next_gauss))
    if device.type != "cpu" and "device" in state:
        torch.get_device_module(device).set_rng_state(state["device"])


def seed_everything(seed: int, rank: int = 0, epoch: int = 0) -> None:
    """Seed the generators of Python, numpy and torch.

    They are seeded with a number derived from ``seed``. A network is often initialized with the same seed, and would
    otherwise use the same random numbers for its weights and, for example, its dropout. In every process but the first
    it is derived from the process's ``rank`` and the ``epoch`` in which it joins, too: no two draw the same dropout.
    """
    derived = int(np.random.SeedSequence([seed, 1], spawn_key=(rank, epoch) if rank else ()).generate_state(1)[0])
    random.seed(derived)
    np.random.seed(derived)  # noqa: NPY002
    torch.manual_seed(derived)


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """A context after which the generators of the rest of the program are as before."""
    before = random_state(device)
    try:
        yield
    finally:
        set_random_state(device, before)
