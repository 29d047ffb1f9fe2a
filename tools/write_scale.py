"""Measure how time and memory of a training step grow; write benchmarks/scale* and tables of docs/scale.md: make scale

Times are those of the processor, so other programs may run. ``--tables`` writes the tables of what was measured again.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from embed_tables import embed
from write_benchmarks import markdown

from conductance.bench.cost import training_cost
from conductance.bench.scale import IMAGENET, imagenet_resnet18, measure_scale
from conductance.optim import estimate
from conductance.runs.provenance import git_commit, hardware, versions

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
ROUNDS = 3

PROCESSES = (1, 2, 4)

EPOCHS = 90
BATCH_OF_ONE_DEVICE = 256
RATES = {"A100": 312e12, "H100 SXM": 989e12}
"""Floating-point operations a second in bfloat16, without sparsity: NVIDIA's data sheets."""
SHARES = (0.15, 0.4)
"""Of that rate, which whole steps may reach: an assumption, for no GPU was measured."""


def measure() -> dict:
    steps = [asdict(measurement) for measurement in measure_scale(ROUNDS)]
    return {
        "steps": steps,
        "processes": {count: milliseconds_of_processes(count) for count in PROCESSES},
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def milliseconds_of_processes(count: int) -> float:
    """Of a step in the process that takes longest, where so many share its images."""
    with tempfile.TemporaryDirectory() as folder:
        program = "import sys; from conductance.bench.scale import *; measure_process(Path(sys.argv[1]))"
        launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(count), "--no-python", sys.executable]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *launch, "-c", program, folder], check=True, env=environment)
        return max(float(file.read_text()) for file in Path(folder).iterdir())


def step_rows(figures: dict) -> Iterator[Sequence[str]]:
    for step in figures["steps"]:
        value = f"{step['varied']} {step['case'][step['varied']]}"
        measured, estimated = step["megabytes"], step["estimated"]
        yield value, f"{step['milliseconds']:.0f}", f"{measured:.0f}", f"{estimated:.0f}", f"{estimated / measured:.2f}"


def process_rows(figures: dict) -> Iterator[Sequence[str]]:
    alone = figures["processes"][str(PROCESSES[0])]
    for count, milliseconds in figures["processes"].items():
        yield count, f"{milliseconds:.0f}", f"{alone / milliseconds:.2f}"


def imagenet_rows() -> Iterator[Sequence[str]]:
    size = IMAGENET["size"]
    for family in ("affine_bn", "cwa"):
        with torch.device("meta"):
            network = imagenet_resnet18(family)
            batch = torch.empty(BATCH_OF_ONE_DEVICE, 3, size, size)
        cost = training_cost(network, (3, size, size), IMAGENET["images"], EPOCHS)
        memory = estimate(network, batch).total
        hours = (" to ".join(f"{cost.hours(rate, share):.0f}" for share in reversed(SHARES)) for rate in RATES.values())
        yield family, f"{cost.multiply_adds / 1e9:.2f}", f"{cost.operations:.1e}", f"{memory / 1e9:.0f}", *hours


STEP_COLUMNS = ("size", "ms of processor", "MB, measured", "MB, estimated", "estimated / measured")
PROCESS_COLUMNS = ("processes", "ms in each", "times as fast, at most")
IMAGENET_COLUMNS = (
    "ResNet-18",
    "10^9 multiply-adds an image",
    f"operations of {EPOCHS} epochs",
    f"GB, batch {BATCH_OF_ONE_DEVICE}",
    *(f"hours on one {name}" for name in RATES),
)


def tables(figures: dict) -> dict[str, str]:
    """Each table by the name of its file."""
    return {
        "scale_steps.md": markdown(STEP_COLUMNS, step_rows(figures)),
        "scale_processes.md": markdown(PROCESS_COLUMNS, process_rows(figures)),
        "scale_imagenet.md": markdown(IMAGENET_COLUMNS, imagenet_rows()),
    }


def write_tables() -> None:
    for name, table in tables(json.loads((FOLDER / "scale.json").read_text())).items():
        (FOLDER / name).write_text(table)
    page = ROOT / "docs/scale.md"
    page.write_text(embed(page))


def main() -> None:
    if "--tables" not in sys.argv:
        (FOLDER / "scale.json").write_text(json.dumps(measure(), indent=1) + "\n")
    write_tables()


if __name__ == "__main__":
    main()
