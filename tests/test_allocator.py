"""Large tensors come from memory that the process has already, where the C library can be told so."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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


LARGE_PAGES = """
import resource, torch
from conductance.allocator import in_large_pages
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
tensor = in_large_pages(torch.empty(2**24)).fill_(1.0)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
assert bool((tensor == 1).all())
"""


def gives_large_pages():
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.exists() and "[never]" not in setting.read_text()


@pytest.mark.skipif(not gives_large_pages(), reason="this system has small pages alone")
def test_large_pages_save_most_page_faults():
    done = subprocess.run([sys.executable, "-c", LARGE_PAGES], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**26 // 4096 / 4  # a few, even where memory is scattered


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_large_pages_are_asked_for_inside_large_tensors_alone(monkeypatch, system):
    asked = []
    monkeypatch.setattr(
        allocator, "_madvise", lambda: (lambda *given: asked.append(given)) if system == "linux" else None
    )
    small, large = torch.empty(1000), torch.empty(2**24)
    assert allocator.in_large_pages(small) is small
    assert asked == []
    assert allocator.in_large_pages(large) is large
    assert len(asked) == (system == "linux")
    for start, size, _ in asked:
        assert start.value % 2**21 == 0
        assert large.data_ptr() <= start.value
        assert start.value + size.value <= large.data_ptr() + large.nbytes
    assert allocator.in_large_pages(torch.empty(2**24, device="meta")).is_meta
