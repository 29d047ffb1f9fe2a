"""Settings for all tests: repeatable draws, and the reference within reach."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["run_fixtures"]

settings.register_profile("conductance", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("conductance")


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)
