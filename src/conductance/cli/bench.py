"""``conductance bench``: time conductance layers against affine + BatchNorm on this machine."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table


@dataclass
class BenchArguments:
    """Time conductance layers or networks against affine + BatchNorm, as ratios within one process."""

    what: tyro.conf.Positional[Literal["layers", "training", "inference"]]
    """layers: every layer of the paper's networks, forward and backward; training: whole steps with Adam; inference:
    the forward pass of whole networks, frozen and not"""
    device: str = "cpu"
    """cpu or cuda"""
    dtype: Literal["float32", "tf32", "bfloat16"] = "float32"
    """precision of the matrix products: bfloat16 by autocast; tf32 on GPUs that support it"""
    rounds: int = 9
    """how often everything is timed, in turns"""
    json: Path | None = None
    """also write the figures to this file"""


def run(arguments: list[str]) -> None:
    """Time, and print a table."""
    chosen = parse(BenchArguments, "bench", arguments)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler, which measures memory
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
