"""Settings for all tests: repeatable draws, and the reference within reach."""

import os
import sys
from pathlib import Path

import torch

if not torch.cuda.is_available():  # Triton decides when it is imported, which torch.compile does too
    os.environ["TRITON_INTERPRET"] = "1"

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["run_fixtures"]

settings.register_profile("conductance", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("conductance")


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)
