"""The choices behind the presets: every row is a config of its own, judged by images held out."""

from dataclasses import replace

from studies.preset_choices.measure import PRESET_CHOICES, SEEDS, VALIDATION_IMAGES


def test_every_row_differs_from_the_preset_in_its_one_change():
    configs = [PRESET_CHOICES.config(case, 0) for case in PRESET_CHOICES.cases]
    assert len({PRESET_CHOICES.run_folder(config) for config in configs}) == len(configs)
    assert len({replace(config, name="") for config in configs}) == len(configs)
    assert all(config.data.validation_images == VALIDATION_IMAGES for config in configs)


def test_every_row_has_been_measured_with_every_seed():
    rows = PRESET_CHOICES.rows()
    measured = {(row["architecture"], row["family"], row["change"], row["seed"]) for row in rows}
    assert measured == {(*case, str(seed)) for case in PRESET_CHOICES.cases for seed in range(SEEDS)}
