"""``conductance bench``: time conductance layers against affine + BatchNorm on this machine."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from conductance.bounds import require_within
from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table
from conductance.errors import InputError

MOST_ROUNDS = 1000


@dataclass
class BenchArguments:
    """Time conductance layers or networks against affine + BatchNorm, as ratios within one process."""

    what: tyro.conf.Positional[Literal["layers", "training", "loop", "inference", "presets", "gpu"]] = "gpu"
    """layers: every layer of the paper's networks, forward and backward; training: whole steps with Adam and with Muon;
    loop: those with Adam where nobody has settled how memory is kept; inference: the forward pass of whole networks,
    frozen and not; presets: short epochs of the named runs; gpu: all that is to be known about a GPU, tests and an
    epoch included, in under six minutes, into a folder (--device cuda, or --tiny to rehearse it)"""
    device: str = "cpu"
    """cpu or cuda"""
    dtype: Literal["float32", "tf32", "bfloat16"] = "float32"
    """precision of the matrix products: bfloat16 by autocast; tf32 on GPUs that support it"""
    rounds: int = 9
    """how often everything is timed, in turns"""
    json: Path | None = None
    """also write the figures to this file"""
    out: Path = Path("gpu")
    """of gpu: the folder that takes its figures and its page"""
    tiny: bool = False
    """of gpu: everything very small"""


def run(arguments: list[str]) -> None:
    """Time, and print a table."""
    chosen = parse(BenchArguments, "bench", arguments)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler, which measures memory
    if chosen.what == "gpu":
        _check_gpu(chosen)
    else:
        _measure(chosen)


def _check_gpu(chosen: BenchArguments) -> None:
    from conductance.bench.gpu import run_check

    if chosen.device == "cpu" and not chosen.tiny:
        raise InputError("bench needs to be told what, such as layers or training; or, on a GPU, --device cuda")
    if run_check(chosen.device, tiny=chosen.tiny, seconds=None, folder=chosen.out):
        sys.exit(1)


def _measure(chosen: BenchArguments) -> None:
    require_within("rounds", chosen.rounds, MOST_ROUNDS)
    from conductance.bench import TIMING_COLUMNS, measure, timing_rows
    from conductance.files import write_text

    with console.status("") as status:
        figures = measure(
            chosen.what,
            device=chosen.device,
            dtype=chosen.dtype,
            rounds=chosen.rounds,
            on_timing=lambda timing: status.update(
                f"{timing.case}: {timing.contender} at {timing.ratio:.3f} of affine+BN+ReLU"
            ),
        )
    table = plain_table(*TIMING_COLUMNS)
    for row in timing_rows(figures.timings):
        table.add_row(*row)
    console.print(
        table,
        f"\nratio: to affine+BN+ReLU in the same round, median of {figures.rounds}; product rate: compared with a "
        "large matrix product in the same round; memory: ratio of the peaks",
        f"{figures.dtype}, {figures.hardware}, {figures.versions}, commit {figures.git_commit}",
    )
    if chosen.json is not None:
        write_text(chosen.json, json.dumps(asdict(figures), indent=1) + "\n")
