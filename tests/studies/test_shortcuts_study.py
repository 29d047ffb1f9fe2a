"""The comparison of shortcuts: every branch is a config of its own."""

from dataclasses import replace

from conductance.data import load_dataset
from conductance.models.resnet import SHORTCUTS
from conductance.training.build import build_network
from studies.shortcuts.measure import SHORTCUT_WAYS


def test_every_branch_builds_and_lies_in_its_own_folder():
    configs = [SHORTCUT_WAYS.config(case, 0) for case in SHORTCUT_WAYS.cases]
    assert {config.model.shortcut for config in configs} == set(SHORTCUTS)
    assert len({SHORTCUT_WAYS.run_folder(config) for config in configs}) == len(configs)
    for config in configs:
        small = replace(config, model=replace(config.model, widths=(8, 8)))
        assert build_network(small, load_dataset("digits")).get_submodule("stages") is not None
