"""The ablation: every row is a config that trains, and the table is made of what is done."""

from dataclasses import replace

import pytest

from conductance.experiments import ablation, study
from conductance.experiments.presets import get_preset


@pytest.mark.parametrize("architecture", ablation.ARCHITECTURES)
def test_every_row_differs_from_the_recipe_in_its_one_change(architecture):
    configs = [ablation.config_of(architecture, *case, seed=0) for case in ablation.cases()]
    assert len({study.folder_of(config, ablation.RUNS) for config in configs}) == len(configs)
    plain = {replace(config, name="") for config in configs}
    # where a preset's own choice is the change, two rows would be the same run under two names
    assert len(plain) >= len(configs) - 1
    assert all(config.data.validation_images == ablation.VALIDATION_IMAGES for config in configs)


def test_what_is_done_is_in_the_table_and_not_done_again(tmp_path, monkeypatch):
    def tiny(name):
        config = get_preset(f"digits-fcn-{name.rsplit('-', 1)[1]}")
        return replace(config, model=replace(config.model, widths=(8,)))

    monkeypatch.setattr(ablation, "get_preset", tiny)
    monkeypatch.setattr(ablation, "VALIDATION_IMAGES", 100)
    monkeypatch.setattr(ablation, "EPOCHS", 1)
    monkeypatch.setattr(ablation, "cases", lambda: [("cwa", "none"), ("affine", "adam")])
    monkeypatch.setattr(ablation.config_of, "__defaults__", (1,))
    assert ablation.table(2, tmp_path) == []
    ablation.run("fcn", 1, tmp_path)
    first = ablation.table(2, tmp_path)
    ablation.run("fcn", 1, tmp_path)
    assert ablation.table(2, tmp_path) == first
    rows = [row for row in first if row["architecture"] == "fcn"]
    assert [(row["family"], row["change"], row["seeds"]) for row in rows] == [("cwa", "none", 1), ("affine", "adam", 1)]
    assert all(0 <= row["validation_mean"] <= 100 for row in rows)
