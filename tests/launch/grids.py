"""Small grids of runs: material for tests, never results."""

from conductance.launch.plan import plan_runs
from tiny_runs import tiny

FAMILIES = ("cwa", "affine")


def grid(out, seeds=1, families=FAMILIES, **choices):
    """Runs of two layers of eight units, a family each."""
    configs = [tiny(family, name=f"tiny-{family}", **choices) for family in families]
    presets = [f"digits-fcn-{family}" for family in families]
    return plan_runs(configs, seeds, out, presets=presets, device="cpu")
