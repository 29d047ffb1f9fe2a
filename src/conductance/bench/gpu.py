"""All that is to be known about a GPU, by one command of less than six minutes: ``make gpu``.

It needs torch, numpy and, for the tests, pytest; what needs more is left out, and the page says so. Each part writes
what it has found, as JSON and as a page, before the next begins, so that whatever ends the command early takes nothing
away. ``--tiny`` rehearses it, on a CPU too.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import conductance
from conductance.bench.agreement import compare_with_float64
from conductance.bench.clock import seconds_of
from conductance.bench.epoch import FAMILIES, EpochSize, time_epochs, training_step
from conductance.bench.gpu_page import Record, write
from conductance.bench.layers import COLOUR_IMAGE, bench_layers
from conductance.bench.products import matrix_product
from conductance.bench.setting import PRECISIONS, bench_device, precision
from conductance.bench.training import bench_training
from conductance.kernels.gpu.choice import triton_serves

REPOSITORY = Path(conductance.__file__).parents[2]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    networks: dict[str, int] = field(default_factory=lambda: {"fcn": 1000, "cnn": 500, "resnet18": 250})
    compared: dict[str, int] = field(default_factory=lambda: {"fcn": 250, "cnn": 64, "resnet18": 32})
    rounds: int = 11
    layer_rounds: int = 7
    epoch: EpochSize = field(default_factory=EpochSize)
    copied: int = 2**30  # bytes
    kernel_tests: tuple[str, ...] = tuple(
        f"tests/kernels/test_{name}.py" for name in ("triton", "triton_layers", "linear")
    )
    layer_tests: tuple[str, ...] = ("tests/nn",)
    seconds: float = 340.0


TINY = Size(
    networks={"cnn": 4},
    compared={"cnn": 4},
    rounds=2,
    layer_rounds=2,
    epoch=EpochSize(images=20, batch=10, widths=(4, 4)),
    copied=2**20,
    kernel_tests=("tests/kernels/test_linear.py",),
    layer_tests=(),
)

MOST_SECONDS_OF_TESTS = 90.0
SLOW_TO_COMPILE = ("literal eq. 6", "CWA compiled")  # or slow to run: there is no time for them

Results = Iterator[dict[str, Any]]


# The parts ------------------------------------------------------------------------------------------------------------


def machine(device: torch.device, size: Size) -> Results:
    """What the device reaches: bytes copied and multiplications of large matrices, each a median of five."""
    source = torch.rand(size.copied // 4, device=device)
    target = torch.empty_like(source)
    moved = 2 * source.numel() * source.element_size()
    yield {"what": "copy", "GB/s": 1e-9 * moved / _median(lambda: target.copy_(source), device)}
    for dtype in _precisions(device):
        with precision(dtype, device):
            product = matrix_product(device)
            side = 8192 if device.type == "cuda" else 1024
            yield {"what": f"product, {dtype}", "TFLOP/s": 1e-12 * 2 * side**3 / _median(product, device)}
    yield {"what": "Triton serves", "answer": triton_serves(device)}


def tests(device: torch.device, paths: Sequence[str], left: Callable[[], float]) -> Results:
    """The package's own tests, on the device."""
    if importlib.util.find_spec("pytest") is None:
        yield {"skipped": "needs pytest"}
        return
    if not paths:
        yield {"skipped": "this is a rehearsal"}
        return
    if not all((REPOSITORY / path).exists() for path in paths):
        yield {"skipped": "needs the tests, which a checkout has"}
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "--device", device.type]
    begun = time.perf_counter()
    try:
        ran = subprocess.run(
            [*command, *paths],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
            capture_output=True,
            text=True,
            timeout=max(1.0, min(MOST_SECONDS_OF_TESTS, left())),
            check=False,
        )
        said, status = ran.stdout, str(ran.returncode)
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        status = "out of time"
    lines = [line for line in said.strip().splitlines() if line.startswith(("FAILED", "ERROR"))]
    yield {
        "tests": " ".join(paths),
        "status": status,
        "summary": said.strip().rpartition("\n")[2],
        "seconds": time.perf_counter() - begun,
        "hypothesis": importlib.util.find_spec("hypothesis") is not None,
        "failures": lines[:40],
        "end": said[-3000:] if status != "0" else "",
    }


def agreement(device: torch.device, size: Size) -> Results:
    """Every layer at its real size against float64, in each precision."""
    for dtype in _precisions(device):
        for compared in compare_with_float64(device, dtype, size.compared):
            yield asdict(compared)


def waits(device: torch.device, size: Size) -> Results:
    """Whether a step of training waits for the device: torch raises an error at whatever does."""
    for name, family in FAMILIES.items():
        step = training_step(family, size.epoch.widths, device)
        images = torch.randint(256, (size.epoch.batch, *COLOUR_IMAGE), dtype=torch.uint8, device=device)
        labels = torch.randint(10, (size.epoch.batch,), device=device)
        step(images, labels)  # the optimizer's state is made, kernels are compiled
        with _refusing_to_wait(device):
            try:
                step(images, labels)
                yield {"family": name, "waits": None}
            except RuntimeError as error:
                yield {"family": name, "waits": str(error).partition("\n")[0]}


@contextmanager
def _refusing_to_wait(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def steps(device: torch.device, size: Size, dtype: str) -> Results:
    """Whole steps with Adam, in turns."""
    with precision(dtype, device):
        for timing in bench_training(device, size.rounds, size.networks, ["adam"]):
            yield asdict(timing)


def layers(device: torch.device, size: Size, dtype: str) -> Results:
    """Each layer forward and backward, in turns."""
    with precision(dtype, device):
        for timing in bench_layers(device, size.layer_rounds, size.networks, SLOW_TO_COMPILE):
            yield asdict(timing)


def epochs(device: torch.device, size: Size, dtype: str) -> Results:
    """One epoch of ResNet-18 of each family."""
    with precision(dtype, device):
        for epoch in time_epochs(device, size.epoch):
            yield asdict(epoch)


def operations(device: torch.device, size: Size, dtype: str) -> Results:
    """What takes the time of a step of ResNet-18."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    images = torch.randint(256, (size.epoch.batch, *COLOUR_IMAGE), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (size.epoch.batch,), device=device)
    with precision(dtype, device):
        for name, family in FAMILIES.items():
            step = training_step(family, size.epoch.widths, device)
            for _ in range(3):
                step(images, labels)
            with profile(activities=activities) as recorded:
                step(images, labels)
                _median(lambda: None, device)  # waits
            on_gpu = device.type == "cuda"
            spent = [
                (event.key, event.count, event.self_device_time_total if on_gpu else event.self_cpu_time_total)
                for event in recorded.key_averages()
            ]
            whole = sum(microseconds for *_, microseconds in spent) or 1
            for key, calls, microseconds in sorted(spent, key=lambda each: -each[2])[:15]:
                shown = {"ms": 1e-3 * microseconds, "share": microseconds / whole}
                yield {"family": name, "operation": key[:90], "calls": calls, **shown}


def _median(run: Callable[[], object], device: torch.device) -> float:
    run()
    return sorted(seconds_of(run, device) for _ in range(5))[2]


def _precisions(device: torch.device) -> list[str]:
    return [name for name in PRECISIONS if name != "tf32" or device.type == "cuda"]


# The command ----------------------------------------------------------------------------------------------------------


def plan(device: torch.device, size: Size, left: Callable[[], float]) -> dict[str, Callable[[], Results]]:
    """All parts by name, what matters most first."""
    fast = [name for name in reversed(_precisions(device)) if name != "float32"]
    parts: dict[str, Callable[[], Results]] = {
        "machine": partial(machine, device, size),
        "tests of kernels": partial(tests, device, size.kernel_tests, left),
        "agreement with float64": partial(agreement, device, size),
        "waits for the host": partial(waits, device, size),
    }
    parts |= {f"steps, {dtype}": partial(steps, device, size, dtype) for dtype in reversed(_precisions(device))}
    parts |= {f"epoch, {dtype}": partial(epochs, device, size, dtype) for dtype in fast}
    parts |= {f"operations, {dtype}": partial(operations, device, size, dtype) for dtype in fast}
    parts["tests of layers"] = partial(tests, device, size.layer_tests, left)
    parts |= {f"layers, {dtype}": partial(layers, device, size, dtype) for dtype in reversed(_precisions(device))}
    return parts


def check_gpu(folder: Path, device: torch.device, size: Size, say: Callable[[str], object] = print) -> Record:
    """Do all parts for which there is time, and write ``gpu.json`` and ``gpu.md`` after each result.

    Args:
        folder: where to write; made if need be.
        device: what is measured.
        size: how much.
        say: told of every part.
    """
    begun = time.monotonic()
    left = lambda: size.seconds - (time.monotonic() - begun)  # noqa: E731
    record = Record.of(device)
    for name, part in plan(device, size, left).items():
        results, started = record.begin(name), time.monotonic()
        state = "done"
        try:
            with _choosing_by_time():
                for result in part() if left() > 0 else ():
                    results.append(result)
                    write(record, folder)
                    if left() <= 0:
                        break
            if results and "skipped" in results[-1]:
                state = f"skipped: {results[-1]['skipped']}"
            elif left() <= 0:
                state = "out of time"
        except Exception as error:  # the next part may still tell something
            state = f"failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        record.end(name, state, time.monotonic() - started)
        write(record, folder)
        say(f"{name}: {state} ({time.monotonic() - started:.0f} s, {max(0.0, left()):.0f} s left)")
    return record


@contextmanager
def _choosing_by_time() -> Iterator[None]:
    """cuDNN takes the algorithms that are fastest here, for everybody alike."""
    cudnn = torch.backends.cudnn
    before, cudnn.benchmark = cudnn.benchmark, True
    try:
        yield
    finally:
        cudnn.benchmark = before


def main(arguments: list[str] | None = None) -> int:
    """``python -m conductance.bench.gpu``; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m conductance.bench.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to rehearse")
    parser.add_argument("--tiny", action="store_true", help="everything very small, to rehearse")
    parser.add_argument("--seconds", type=float, help="after how long no more is begun (340)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "gpu"), help="where to write")
    chosen = parser.parse_args(arguments)
    return run_check(chosen.device, tiny=chosen.tiny, seconds=chosen.seconds, folder=chosen.out)


def run_check(device: str, *, tiny: bool, seconds: float | None, folder: Path) -> int:
    """`check_gpu` by the names of its options; 1 where something failed, else 0."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler
    size = TINY if tiny else Size()
    if seconds is not None:
        size = replace(size, seconds=seconds)
    record = check_gpu(folder, bench_device(device), size)
    print(f"written: {folder / 'gpu.json'}, {folder / 'gpu.md'}")
    return int(record.failed)


if __name__ == "__main__":
    from conductance.errors import ConductanceError

    try:
        sys.exit(main())
    except ConductanceError as error:
        sys.exit(f"error: {error}")
