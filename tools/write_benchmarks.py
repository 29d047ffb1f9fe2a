"""Run the benchmarks; write benchmarks/*.json, profile.md and the tables of README.md there: make bench

With names behind it, such as training-bfloat16, only those. With --files nothing is measured: the pages are written
from the JSON files that are there.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import geometric_mean

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own log

import torch

from conductance.bench import BENCHMARKS, TIMING_COLUMNS, Timing, timing_rows
from conductance.bench.layers import COLOUR_IMAGE
from conductance.bench.profile import PROFILE_COLUMNS, find_case, profile_layer
from conductance.bench.rounds import TUNED
from conductance.models import create_model

FOLDER = Path(__file__).parents[1] / "benchmarks"


# By the name of the table: what is measured, and in which precision.
TABLES = {**{what: (what, "float32") for what in BENCHMARKS}, "training-bfloat16": ("training", "bfloat16")}


def measure(name: str, again: bool) -> dict:
    what, dtype = TABLES[name]
    target = FOLDER / f"{name}.json"
    if not again:
        return json.loads(target.read_text())
    program = Path(sys.executable).parent / "conductance"
    subprocess.run([program, "bench", what, "--dtype", dtype, "--json", target], check=True)
    return json.loads(target.read_text())


def embed(page: str, name: str, text: str) -> str:
    """The page with this text below the comment of that name, in place of what stood there."""
    block = rf"(<!-- {re.escape(name)} -->\n\n)(?:.+\n)*"
    return re.sub(block, lambda found: found[1] + text.rstrip() + "\n", page)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def provenance(figures: dict) -> str:
    where, versions = figures["hardware"], figures["versions"]
    return (
        f"`conductance bench {figures['what']} --dtype {figures['dtype']}`: {where['device']}, {where['cpu']}, "
        f"{where['threads']} threads, torch {versions['torch']}, commit {figures['git_commit']}, "
        f"{figures['rounds']} rounds."
    )


def per_synapse(figures: dict) -> str:
    """The ratios of whole steps, and what is left of them where CWA has more synapses than the affine network."""
    rows = []
    for timing in (Timing(**timing) for timing in figures["timings"]):
        if timing.contender == "CWA":
            architecture = timing.case.partition(",")[0]
            own, affine = (_synapses(architecture, family) for family in ("cwa", "affine_bn"))
            counted = f"{own / 1e6:.2f}", f"{affine / 1e6:.2f}"
            rows.append((timing.case, *counted, f"{timing.ratio:.3f}", f"{timing.ratio * affine / own:.3f}"))
    return markdown(("case", "synapses, million", "of the affine network", "ratio", "ratio per synapse"), rows)


def _synapses(architecture: str, family: str) -> int:
    model = create_model(architecture, family, COLOUR_IMAGE, 10)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1)


def profile_page(layers: dict) -> str:
    """The layer that compares worst with its baseline, operation by operation."""
    native = [timing for timing in layers["timings"] if timing["contender"] == "CWA native"]
    worst = max(native, key=lambda timing: timing["ratio"])
    device = torch.device("cpu")
    tables = profile_layer(find_case(worst["case"], device), device)
    return "\n".join(
        [
            f"# Where the time goes: {worst['case']}\n",
            f"Written by `make bench`: of all layers in [README.md](README.md) this one compares worst with affine + "
            f"BatchNorm ({worst['ratio']:.2f}). One forward and backward pass as torch's profiler records it, which "
            "takes some time itself; the time of an operation without that of the operations it calls.\n",
            *(f"## {name}\n\n{markdown(PROFILE_COLUMNS, rows)}" for name, rows in tables.items()),
        ]
    )


OVERVIEW = {
    "layers": ("layers, forward and backward", "CWA native"),
    "training": ("training steps of whole networks", "CWA"),
    "training-bfloat16": ("the same in bfloat16", "CWA"),
    "loop": ("the same in a loop of your own", "CWA"),
    "presets": ("epochs of the named runs", "CWA"),
    "inference": ("inference of whole networks, frozen", "CWA frozen"),
}


def overview(folder: Path = FOLDER) -> str:
    """The geometric means over all cases, in a few lines for the README."""
    rows = []
    for name, (what, contender) in OVERVIEW.items():
        file = folder / f"{name}.json"
        timings = json.loads(file.read_text())["timings"] if file.exists() else []
        own = [Timing(**timing) for timing in timings if timing["contender"] == contender]
        if not own:  # not measured yet
            continue
        time, memory = geometric_mean(t.ratio for t in own), geometric_mean(t.memory_ratio for t in own)
        tuned = {timing["case"]: timing["ratio"] for timing in timings if timing["contender"] == TUNED}
        fair = f"{geometric_mean(t.ratio / tuned[t.case] for t in own):.2f}" if tuned else ""
        rows.append((what, f"{time:.2f}", f"{max(t.ratio for t in own):.2f}", fair, f"{memory:.2f}"))
    columns = "compared with affine + BatchNorm", "time", "worst case", "time, both tuned", "memory"
    return markdown(columns, rows)


def main() -> None:
    page = (FOLDER / "README.md").read_text()
    again, names = "--files" not in sys.argv, [name for name in sys.argv[1:] if name != "--files"]
    for name in names or [name for name in TABLES if again or (FOLDER / f"{name}.json").exists()]:
        figures = measure(name, again)
        rows = timing_rows([Timing(**timing) for timing in figures["timings"]])
        page = embed(page, name, markdown(TIMING_COLUMNS, rows))
        page = embed(page, f"{name}, where", provenance(figures))
        if name == "training":
            page = embed(page, "synapses", per_synapse(figures))
        if name == "layers" and again:
            (FOLDER / "profile.md").write_text(profile_page(figures))
    (FOLDER / "README.md").write_text(page)
    (FOLDER / "overview.md").write_text(overview())


if __name__ == "__main__":
    main()
