"""Training in a process that does other things leaves them as they are."""

import os

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from conductance.errors import ConductanceError
from tiny_runs import run, tiny, weights


def settings(accelerator):
    return accelerator.mixed_precision, accelerator.gradient_accumulation_steps, str(accelerator.device)


def accelerates_environment():
    return {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE")}


@pytest.fixture
def theirs():
    """Another program's accelerator."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=4)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_another_accelerator_keeps_its_settings(theirs, out):
    before, environment = settings(theirs), accelerates_environment()
    run(tiny(epochs=1, accumulate=2), out)
    assert settings(theirs) == before == ("bf16", 4, "cpu")
    assert accelerates_environment() == environment
    assert Accelerator().mixed_precision == "bf16"  # as it is for everybody after the first


@pytest.mark.usefixtures("theirs")
def test_another_accelerator_does_not_change_a_run(out, tmp_path):
    def loss(folder):
        return run(tiny(epochs=1, accumulate=2), folder)["train_accuracy"]

    beside = loss(out)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert loss(tmp_path / "alone") == beside


def test_settings_are_back_after_a_run_that_fails(theirs, out):
    before = settings(theirs)
    with pytest.raises(ConductanceError):
        run(tiny(precision="fp16"), out)
    assert settings(theirs) == before


def test_runs_of_different_precision_do_not_change_each_other(tmp_path):
    for name, precision in (("alone", "no"), ("rounded", "bf16"), ("after", "no")):
        run(tiny(epochs=1, precision=precision), tmp_path / name)
    assert weights(tmp_path / "after") == weights(tmp_path / "alone") != weights(tmp_path / "rounded")
