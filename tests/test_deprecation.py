"""Names of 0.1 still work, and say where they are now."""

from importlib import import_module

import pytest

from conductance import presets, runs


@pytest.mark.parametrize(
    ("module", "name", "current", "value"),
    [
        ("training", "load_run", "runs.load_run", runs.load_run),
        ("training", "TrainedRun", "runs.Run", runs.Run),
        ("training", "RunFolder", "runs.RunFolder", runs.RunFolder),
        ("training", "RunConfig", "runs.RunConfig", runs.RunConfig),
        ("report", "load_runs", "runs.load_runs", runs.load_runs),
        ("report", "Run", "runs.Run", runs.Run),
        ("experiments", "get_preset", "presets.get_preset", presets.get_preset),
    ],
)
def test_a_name_that_has_moved_is_found_and_warns(module, name, current, value):
    old = import_module(f"conductance.{module}")
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{name} has moved to conductance\.{current};"):
        assert getattr(old, name) is value


@pytest.mark.parametrize("module", ["training", "report", "experiments"])
def test_a_name_that_never_was_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = import_module(f"conductance.{module}").nothing
