"""Numbers too small for float32's full precision are 0 while a network trains."""

import subprocess
import sys

import pytest
import torch

from conductance.training.device import flushes_denormals, flushing_denormals

SMALLEST = torch.finfo(torch.float32).tiny
pytestmark = pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush them")

# nothing may be computed by more threads than one before, for torch then starts them
IN_A_NEW_PROCESS = f"""
import torch
from conductance.training.device import flushing_denormals
torch.set_num_threads(2)
with flushing_denormals():
    print((torch.full((4_000_000,), {SMALLEST}) / 2).count_nonzero().item())
"""


def test_they_are_0_inside_and_what_they_were_outside():
    assert not flushes_denormals()
    with flushing_denormals():
        assert flushes_denormals()
        with flushing_denormals():
            pass
        assert flushes_denormals()
    assert not flushes_denormals()


def test_every_thread_takes_them_for_0():
    done = subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 0


def test_decaying_momentum_ends_at_0():
    with flushing_denormals():
        momentum = torch.full((1000,), 1e-3)
        for _ in range(2000):
            momentum.mul_(0.95)
        assert momentum.count_nonzero() == 0
