"""The study of recipes: its cases, and its table."""

from conductance.presets.named import get_preset
from studies.one_recipe.measure import cases, config_of, table


def test_cases_differ_and_are_complete_recipes():
    configs = {case: config_of(case) for case in cases()}
    assert len({str(config) for config in configs.values()}) == len(configs)
    for case, config in configs.items():
        recipe, own = (get_preset(f"{name}-{case.network}-cwa") for name in (case.recipe, case.dataset))
        assert config.optimizer == recipe.optimizer
        assert config.data.augmentation == own.data.augmentation
        assert config.conductance.pooled_interneuron == (case.interneuron == "pooled")


def test_a_line_has_the_accuracies_of_its_seeds():
    row = {"dataset": "mnist", "network": "cnn", "recipe": "cifar10", "interneuron": "none"}
    rows = [{**row, "validation": value} for value in ("98.5", "98.61")]
    assert table(rows).splitlines()[2] == "| mnist | cnn | cifar10 | none | 98.50, 98.61 |"
