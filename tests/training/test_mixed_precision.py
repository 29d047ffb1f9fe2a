"""Half precision of the products does not show in what a network learns."""

from dataclasses import replace

import pytest

from conductance.presets.named import get_preset
from conductance.training import train


@pytest.mark.parametrize("architecture", ["fcn", "cnn"])
def test_digits_are_learnt_as_well_in_bfloat16(architecture, tmp_path):
    config = replace(get_preset(f"digits-{architecture}-cwa"), epochs=6)
    exact, rounded = (
        train(replace(config, precision=precision), tmp_path / precision, command="test")["test_accuracy"]
        for precision in ("no", "bf16")
    )
    assert exact > 97
    assert abs(rounded - exact) < 2  # ten of 500 images
