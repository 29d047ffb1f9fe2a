"""How fast the layers are, as ratios to affine + BatchNorm + ReLU measured in the same process, turn by turn."""

from collections.abc import Callable, Iterator

from conductance.bench.inference import bench_inference
from conductance.bench.layers import bench_layers
from conductance.bench.measure import Figures, measure
from conductance.bench.presets import bench_presets
from conductance.bench.rounds import Timing, take_turns
from conductance.bench.setting import bench_device, precision
from conductance.bench.table import TIMING_COLUMNS, timing_rows
from conductance.bench.training import bench_loop, bench_training

BENCHMARKS: dict[str, Callable[..., Iterator[Timing]]] = {
    "layers": bench_layers,
    "training": bench_training,
    "loop": bench_loop,
    "inference": bench_inference,
    "presets": bench_presets,
}

__all__ = [
    "BENCHMARKS",
    "TIMING_COLUMNS",
    "Figures",
    "Timing",
    "bench_device",
    "bench_inference",
    "bench_layers",
    "bench_loop",
    "bench_presets",
    "bench_training",
    "measure",
    "precision",
    "take_turns",
    "timing_rows",
]
