"""Where the time of one layer goes, operation by operation."""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from conductance import kernels
from conductance.bench.layers import NETWORKS, Case, cases, contenders
from conductance.bench.rounds import BASELINE
from conductance.errors import UnknownNameError

PROFILED = (BASELINE, "literal eq. 6", "CWA formula", "CWA native")
PROFILE_COLUMNS = ("operation", "calls", "ms", "share")


def find_case(name: str, device: torch.device, networks: dict[str, int] = NETWORKS) -> Case:
    """The layer that goes by this name in the results of `bench_layers`.

    Raises:
        UnknownNameError: there is none.
    """
    found = {case.name: case for network, batch in networks.items() for case in cases(network, batch, device)}
    if name not in found:
        raise UnknownNameError("layer", name, found)
    return found[name]


def profile_layer(
    case: Case, device: torch.device, repeats: int = 5, most: int = 8
) -> dict[str, list[tuple[str, ...]]]:
    """The operations that take most of a forward and backward pass, for those in `PROFILED` that run here.

    Args:
        case: the layer.
        device: where it is.
        repeats: passes that are profiled, after one that is not.
        most: how many operations are named; the others are added up.

    Returns:
        For each contender rows of `PROFILE_COLUMNS`: calls and milliseconds for one pass, without the operations
        that the operation itself calls; share of the contender's whole time in %.
    """
    runs = contenders(case)
    try:
        return {name: _rows(runs[name], device, repeats, most) for name in PROFILED if name in runs}
    finally:
        kernels.use_average(None)


def _rows(run: Callable[[], object], device: torch.device, repeats: int, most: int) -> list[tuple[str, ...]]:
    on_gpu = device.type == "cuda"
    run()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as recorded:
        for _ in range(repeats):
            run()
        if on_gpu:
            torch.cuda.synchronize(device)
    spent = [
        (event.key, event.count, event.self_device_time_total if on_gpu else event.self_cpu_time_total)
        for event in recorded.key_averages()
    ]
    spent.sort(key=lambda operation: -operation[2])
    rest = [("all others", sum(n for _, n, _ in spent[most:]), sum(t for *_, t in spent[most:]))]
    whole = sum(t for *_, t in spent)
    return [
        (name, f"{calls / repeats:.0f}", f"{1e-3 * time / repeats:.2f}", f"{100 * time / whole:.0f} %")
        for name, calls, time in spent[:most] + rest
    ]
