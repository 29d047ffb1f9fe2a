"""Batches whose gradients make one step."""

import pytest
import torch

from conductance.runs import RunFolder
from conductance.training import build
from tiny_runs import run, tiny


@pytest.fixture(autouse=True)
def _sgd(monkeypatch):
    """Adam would hide a gradient of the wrong size."""
    monkeypatch.setattr(build, "build_optimizer", lambda _, network: torch.optim.SGD(network.parameters(), lr=0.1))


def learnt(out, **choices):
    run(tiny("affine", epochs=1, **choices), out)
    return RunFolder(out).read_weights()


@pytest.mark.parametrize(
    ("images", "batch_size", "accumulate"),
    [(1296, 432, 3), (1297, 1297, 5)],  # the last lacks four of its five batches
)
def test_a_step_has_the_size_of_one_over_all_its_images(images, batch_size, accumulate, tmp_path):
    held_out = {"data__validation_images": 1297 - images}
    whole = learnt(tmp_path / "whole", data__batch_size=images, **held_out)
    parts = learnt(tmp_path / "parts", data__batch_size=batch_size, accumulate=accumulate, **held_out)
    torch.testing.assert_close(whole, parts)
