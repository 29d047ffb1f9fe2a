"""Large tensors come from memory that the process has already, where the C library can be told so."""

import os
import platform
import subprocess
import sys

import pytest

from conductance import allocator

GLIBC = platform.libc_ver()[0] == "glibc"

PAGE_FAULTS = """
import resource, sys, torch
from conductance.allocator import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else False)
for step in range(36):
    if step == 30:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(argument="keep", **environment):
    """Whether anything was changed, and the page faults of six allocations of 64 MB after thirty others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS, argument],
        capture_output=True,
        text=True,
        check=True,
        env=inherited | environment,
    )
    changed, faults = done.stdout.split()
    return changed == "True", int(faults)


@pytest.mark.skipif(not GLIBC, reason="glibc's own allocator")
def test_freed_memory_is_used_again():
    unchanged, faults = page_faults("leave")
    changed, fewer = page_faults()
    assert (unchanged, changed) == (False, True)
    assert fewer < faults / 10


@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_MMAP_THRESHOLD_": "1000000"},
        {"MALLOC_TOP_PAD_": "0"},
        {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"},
    ],
)
def test_what_the_user_has_chosen_stays(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert not allocator.keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
