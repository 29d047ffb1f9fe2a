"""What tests of the kernels share."""

import importlib.util

import pytest
import torch

from conductance import kernels
from conductance.kernels.gpu import choice


@pytest.fixture
def any_average():
    """Restores the choice of the process."""
    yield
    kernels.use_average(None)


@pytest.fixture
def on_triton(monkeypatch):
    """Triton's kernels on every tensor: of a GPU where there is one, else in Triton's interpreter.

    Tiles are small. Gives the product's usual ones, by name.
    """
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed: pip install 'conductance[gpu]'")
    from conductance.kernels.gpu import average, product

    if not torch.cuda.is_available():
        monkeypatch.setattr(choice, "triton_serves", lambda device: device.type == "cpu")
    usual, small = {name: getattr(product, name) for name in ("LARGE", "SMALL")}, product.Tile(16, 16, 16)
    monkeypatch.setattr(product, "LARGE", product.Tile(32, 16, 16))
    monkeypatch.setattr(product, "SMALL", small)
    monkeypatch.setattr(average, "TILE", 64)
    monkeypatch.setattr(average, "WIDEST_CHANNELS", 16)
    return usual


@pytest.fixture(autouse=True)
def _on_device(device):
    """Tensors that name no device are made where `--device` says."""
