"""The study of recipes: its cases, and its table."""

from dataclasses import replace

import numpy as np

from conductance.presets.named import get_preset
from studies.one_recipe.measure import WHOLE, Case, cases, config_of, table
from studies.shared.packing import packed
from studies.shared.short import short_trainer


def test_cases_differ_and_are_complete_recipes():
    configs = {case: config_of(case) for case in cases()}
    assert len({str(config) for config in configs.values()}) == len(configs)
    assert {config.epochs for case, config in configs.items() if case.dataset == WHOLE} == {20}
    for case, config in configs.items():
        recipe, own = (get_preset(f"{name}-{case.network}-cwa") for name in (case.recipe, case.dataset.split(",")[0]))
        assert config.optimizer == recipe.optimizer
        assert config.data.augmentation == own.data.augmentation
        assert config.conductance.pooled_interneuron == (case.interneuron == "pooled")


def test_a_line_has_the_accuracies_of_its_seeds_and_what_they_gain():
    row = {"dataset": "mnist", "network": "cnn", "interneuron": "none"}
    answers = {"cifar10": packed(np.arange(1000) < 950), "mnist": packed(np.arange(1000) < 900)}
    rows = [
        {**row, "recipe": recipe, "seed": str(seed), "validation": value, "correct": answers[recipe]}
        for recipe, values in (("cifar10", ("99.0", "99.31")), ("mnist", ("98.5", "98.61")))
        for seed, value in enumerate(values)
    ]
    first, other = table(rows).splitlines()[2:]
    assert first == "| mnist | cnn | mnist | none | 98.50, 98.61 |  |  |  |  |"
    assert other.startswith("| mnist | cnn | cifar10 | none | 99.00, 99.31 | +0.60 ± 0.10 | +3.7")  # of +5.00
    assert other.endswith(" | 0.000 | better |")
    unknown = table([{**row, "correct": ""} for row in rows]).splitlines()[3]
    assert unknown == "| mnist | cnn | cifar10 | none | 99.00, 99.31 | +0.60 ± 0.10 |  |  |  |"


def test_a_run_of_the_digits_is_judged_on_images_it_does_not_learn_from():
    case = Case("digits", "fcn", "cifar10", "pooled", 0)
    config = config_of(case)
    config = replace(config, epochs=1, model=replace(config.model, widths=(6,)))
    trainer, images, held_out = short_trainer(config)
    assert (len(images), len(held_out)) == (973, 324)
    assert trainer.fit()[0]["validation_accuracy"] >= 0
