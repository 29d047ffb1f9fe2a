"""The choices behind the presets: every row is a config of its own, judged by images held out."""

from dataclasses import replace

from studies.recipe.measure import RECIPE, SEEDS, VALIDATION_IMAGES
from studies.shared.study import markdown_means


def test_every_row_differs_from_the_preset_in_its_one_change():
    configs = [RECIPE.config(case, 0) for case in RECIPE.cases]
    assert len({RECIPE.folder(config) for config in configs}) == len(configs)
    assert len({replace(config, name="") for config in configs}) == len(configs)
    assert all(config.data.validation_images == VALIDATION_IMAGES for config in configs)


def test_every_row_has_been_measured_with_every_seed_and_stands_in_the_table():
    rows = RECIPE.rows()
    measured = {(row["architecture"], row["family"], row["change"], row["seed"]) for row in rows}
    assert measured == {(*case, str(seed)) for case in RECIPE.cases for seed in range(SEEDS)}
    assert markdown_means(rows) == RECIPE.table.with_suffix(".md").read_text()
