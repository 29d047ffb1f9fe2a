"""One benchmark, with what its figures depend on: precision, hardware, versions and commit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conductance import bench
from conductance.bench.rounds import Timing
from conductance.bench.setting import bench_device, precision
from conductance.errors import InputError


@dataclass(frozen=True)
class Figures:
    """What a benchmark measured, and where."""

    what: str
    rounds: int
    dtype: str
    hardware: dict[str, Any]
    versions: dict[str, str]
    git_commit: str | None
    timings: list[Timing]


def measure(
    what: str,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    rounds: int = 9,
    on_timing: Callable[[Timing], object] | None = None,
) -> Figures:
    """Run one of `conductance.bench.BENCHMARKS`.

    Args:
        what: "layers", "training", "loop", "inference" or "presets".
        device: "cpu" or "cuda".
        dtype: precision of the matrix products: "float32", "tf32" or "bfloat16".
        rounds: how often everything is timed; at least 2.
        on_timing: called with every timing as it is known.

    Raises:
        InputError: too few rounds, or a device or precision that this machine does not have.
        UnknownNameError: no precision of that name.
    """
    from conductance.runs.provenance import git_commit, hardware, versions  # needs the extra `train`

    if rounds < 2:
        raise InputError(f"rounds={rounds}: a median and its quartiles need at least 2")
    here, timings = bench_device(device), []
    with precision(dtype, here):
        for timing in bench.BENCHMARKS[what](here, rounds):
            timings.append(timing)
            if on_timing is not None:
                on_timing(timing)
    return Figures(what, rounds, dtype, hardware(here), versions(), git_commit(), timings)
