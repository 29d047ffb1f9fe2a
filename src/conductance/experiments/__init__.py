"""Named experiments: plain functions that return complete configs."""

from conductance.experiments.demo import demo_runs, run_demo
from conductance.experiments.presets import PRESETS, get_preset

__all__ = ["PRESETS", "demo_runs", "get_preset", "run_demo"]
