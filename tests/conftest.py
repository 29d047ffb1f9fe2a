"""Settings for all tests: repeatable draws, and the reference within reach."""

import importlib.util
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

if not torch.cuda.is_available():  # Triton decides when it is imported, which torch.compile does too
    os.environ["TRITON_INTERPRET"] = "1"

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from longest import LONGEST_FIRST

# A machine that is only to check its GPU need have no more than torch, numpy and pytest; `conductance.bench.gpu` runs
# the tests that do with these.
HAS_HYPOTHESIS, TRAINS = (importlib.util.find_spec(name) is not None for name in ("hypothesis", "accelerate"))

pytest_plugins = ["run_fixtures"] if TRAINS else []

if HAS_HYPOTHESIS:
    from hypothesis import settings

    settings.register_profile("conductance", deadline=None, derandomize=True, max_examples=30)
    settings.load_profile("conductance")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where layers and kernels are tested: cpu or cuda")


def pytest_ignore_collect(collection_path):
    """Without hypothesis, its tests are left out."""
    if HAS_HYPOTHESIS or collection_path.suffix != ".py":
        return None
    return True if "import given" in collection_path.read_text() else None


def pytest_collection_modifyitems(items):
    """The longest files first."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture
def device(request):
    """Where tensors that name no device are made, in the tests that ask for this fixture."""
    chosen = request.config.getoption("--device")
    with nullcontext() if chosen == "cpu" else torch.device(chosen):
        yield chosen


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)
