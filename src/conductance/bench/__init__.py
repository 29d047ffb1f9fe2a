"""How fast the layers are, as ratios to affine + BatchNorm + ReLU measured in the same process, turn by turn."""

from conductance.bench.layers import bench_layers
from conductance.bench.rounds import Timing, take_turns
from conductance.bench.table import TIMING_COLUMNS, timing_rows
from conductance.bench.training import bench_training

__all__ = ["TIMING_COLUMNS", "Timing", "bench_layers", "bench_training", "take_turns", "timing_rows"]
