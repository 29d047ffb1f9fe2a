"""Every test of the layers runs on the device that `--device` names."""

import pytest


@pytest.fixture(autouse=True)
def _on_device(device):
    """Tensors and layers that name no device are made there."""
