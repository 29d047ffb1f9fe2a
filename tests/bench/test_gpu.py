"""The check of a GPU, rehearsed on a CPU at tiny size."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conductance import cli
from conductance.bench import gpu
from conductance.bench.gpu_page import Part, Record, page

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]

# What a machine may lack that has torch, numpy, Triton and pytest alone.
MISSING = ("accelerate", "hypothesis", "matplotlib", "rich", "safetensors", "scipy", "sklearn", "tyro")
BARE = f"""
import sys
for name in {MISSING}:
    sys.modules[name] = None
from conductance.bench.gpu import main
sys.exit(main(sys.argv[1:]))
"""


def test_it_needs_nothing_but_torch_and_leaves_figures_and_a_page(tmp_path):
    """All of the check, at the smallest sizes, in a process without what is missing: some 8 seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OUT": str(tmp_path)}
    command = [sys.executable, "-c", BARE, "--device", "cpu", "--tiny"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert set(record["parts"]) == set(gpu.plan(CPU, gpu.TINY, lambda: 1.0))
    left_out = record["parts"].pop("tests of layers")
    assert left_out["state"] == "skipped: this is a rehearsal"
    assert {part["state"] for part in record["parts"].values()} == {"done"}
    assert all(part["results"] for part in record["parts"].values())
    assert all(result["agrees"] for result in record["parts"]["agreement with float64"]["results"])
    shown = (tmp_path / "gpu.md").read_text()
    for name in record["parts"]:
        assert f"## {name[0].upper()}{name[1:]}" in shown
    assert "| geometric mean | CWA |" in shown


def test_what_fails_or_is_skipped_takes_nothing_else_away(tmp_path, monkeypatch):
    def broken():
        yield {"what": "first", "GB/s": 1.0}
        raise RuntimeError("illegal memory access")

    parts = {
        "machine": broken,
        "tests": lambda: gpu.tests(CPU, ("tests/nowhere",), lambda: 1.0),
        "more": lambda: iter([{"what": "second", "GB/s": 2.0}]),
    }
    monkeypatch.setattr(gpu, "plan", lambda *_: parts)
    said = []
    record = gpu.check_gpu(tmp_path, CPU, gpu.TINY, said.append)
    saved = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert saved["machine"]["state"] == "failed: RuntimeError: illegal memory access"
    assert saved["machine"]["results"] == [{"what": "first", "GB/s": 1.0}]
    assert saved["tests"]["state"].startswith("skipped: needs the tests")
    assert saved["more"]["results"] == [{"what": "second", "GB/s": 2.0}]
    assert record.failed
    assert len(said) == 3


def test_nothing_is_begun_when_the_time_is_over(tmp_path):
    before = torch.backends.cudnn.benchmark
    record = gpu.check_gpu(tmp_path, CPU, replace(gpu.TINY, seconds=0.0), lambda _: None)
    assert torch.backends.cudnn.benchmark == before
    assert {part.state for part in record.parts.values()} == {"out of time"}
    assert not record.failed
    assert "out of time" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize(
    ("result", "failed"),
    [({"status": "0"}, False), ({"status": "1"}, True), ({"agrees": False}, True), ({"waits": "item"}, True)],
)
def test_a_wrong_result_fails_the_check(result, failed):
    assert Record({}, {"part": Part("done", 1.0, [result])}).failed == failed


def test_epochs_are_compared():
    times = [{"family": name, "seconds": seconds} for name, seconds in (("affine+BN+ReLU", 10.0), ("CWA", 9.0))]
    assert "| CWA | 9 | 0.9 |" in page(Record({}, {"epoch, tf32": Part("done", 1.0, times)}))


def test_without_a_gpu_the_command_says_what_it_can_do(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench"])
    assert stopped.value.code
    assert "such as layers or training; or, on a GPU, --device cuda" in capsys.readouterr().err
