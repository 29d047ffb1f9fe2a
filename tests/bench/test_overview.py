"""The few lines about speed in the README are those of the benchmarks."""

import json
import sys
from pathlib import Path
from statistics import geometric_mean

ROOT = Path(__file__).parents[2]


def test_the_overview_is_made_of_the_figures(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import write_benchmarks

    assert (ROOT / "benchmarks/overview.md").read_text() == write_benchmarks.overview()
    timings = json.loads((ROOT / "benchmarks/training.json").read_text())["timings"]
    mean = geometric_mean(timing["ratio"] for timing in timings if timing["contender"] == "CWA")
    assert f"| {mean:.2f} |" in write_benchmarks.overview()
    sys.modules.pop("write_benchmarks")
