"""A run finds its cell and recipe by its config, and rows are made of runs that one recipe made."""

import json
import shutil
from dataclasses import replace

import pytest

from conductance.errors import InputError, RunError
from conductance.models import FAMILIES
from conductance.reproduction.claims import claim_lines
from conductance.reproduction.paper import TABLES
from conductance.reproduction.recipes import RECIPES, recipe_of
from conductance.reproduction.rows import paper_rows
from conductance.reproduction.tables import is_reproduction, write_tables
from conductance.runs import load_runs
from synthetic_runs import write_run

CELLS = {cell.name: cell for table in TABLES.values() for cell in table}
KNOWN = {name: cell for name, cell in CELLS.items() if cell.family in FAMILIES}


def run_of(config, folder, **summary):
    """A made-up finished run of a config."""
    write_run(
        folder,
        dataset=config.data.dataset,
        architecture=config.model.architecture,
        family=config.model.family,
        seed=config.seed,
        epochs=config.epochs,
        **summary,
    )
    (folder / "config.json").write_text(json.dumps(config.to_dict()))


def rows(folder, table="table1"):
    return [row for row in paper_rows(table, load_runs([folder])) if row.seeds]


@pytest.mark.parametrize("cell", KNOWN)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_config_of_a_recipe_is_known_as_that(recipe, cell):
    recipe, cell = RECIPES[recipe], CELLS[cell]
    if recipe.serves(cell):
        config = replace(recipe.config(cell), seed=7, epochs=3, name="mine")
        as_written = json.loads(json.dumps(config.to_dict()))
        assert recipe_of(as_written, cell) == (recipe.name, recipe.config(cell).epochs)


def test_what_differs_is_told():
    cell = CELLS["mnist-cnn-cwa"]
    config = RECIPES["presets"].config(cell)
    config = replace(config, data=replace(config.data, augmentation="none", batch_size=7))
    assert recipe_of(config.to_dict(), cell) == ("presets; data.augmentation=none; data.batch_size=7", 20)


def test_a_run_from_before_there_was_a_choice_of_optimizer_is_no_run_of_the_recipe():
    cell = CELLS["mnist-cnn-cwa"]
    config = RECIPES["presets"].config(cell).to_dict()
    for field in ("name", "leak_learning_rate", "momentum"):
        del config["optimizer"][field]
    assert recipe_of(config, cell) == ("early presets", 20)


def test_presets_that_0_1_trained_are_called_that_and_never_averaged_with_todays(tmp_path):
    cell = CELLS["mnist-cnn-cwa"]
    config = RECIPES["presets"].config(cell)
    for seed in (0, 1):
        run_of(replace(config, seed=seed), tmp_path / str(seed))
    settings = json.loads((tmp_path / "1/config.json").read_text())
    settings["conductance"]["nonnegative"] = "projected"
    (tmp_path / "1/config.json").write_text(json.dumps(settings))
    assert recipe_of(settings, cell) == ("presets of 0.1", 20)
    assert [(row.recipe, row.seeds) for row in rows(tmp_path)] == [("presets", 1), ("presets of 0.1", 1)]


def test_a_field_that_came_later_and_changes_nothing_makes_no_other_recipe():
    cell = CELLS["cifar10-cnn-cwa"]
    config = RECIPES["presets"].config(cell).to_dict()
    del config["optimizer"]["leak_learning_rate"]
    assert recipe_of(config, cell) == ("presets", 30)


def test_mean_deviation_and_difference(tmp_path):
    config = RECIPES["presets"].config(CELLS["cifar10-cnn-cwa"])
    for seed, accuracy in enumerate([80.0, 82.0, 87.0]):
        run_of(replace(config, seed=seed), tmp_path / str(seed), test_accuracy=accuracy, best_test_accuracy=90.0 + seed)
    (row,) = rows(tmp_path)
    assert (row.recipe, row.seeds, row.epochs, row.paper) == ("presets", 3, "30", 78.09)
    assert row.mean == pytest.approx(83)
    assert row.std == pytest.approx((9 + 1 + 16) ** 0.5 / 2**0.5)
    assert row.best_mean == pytest.approx(91)
    assert row.difference == pytest.approx(83 - 78.09)
    assert row.hardware == "Example 3000, 2 threads"
    assert row.whole


@pytest.mark.parametrize(
    ("curves", "reached"),
    [
        (([70, 78.09, 77, 79],), "2"),
        (([70, 78.09, 77, 79], [70, 71, 72, 80], [70, 79, 79, 79]), "2-4"),
        (([70, 78.09, 77, 79], [70, 71, 72, 78.08]), ""),  # one seed never had it
    ],
)
def test_the_epoch_from_which_the_papers_figure_was_there(curves, reached, tmp_path):
    config = replace(RECIPES["presets"].config(CELLS["cifar10-cnn-cwa"]), epochs=4)
    for seed, curve in enumerate(curves):
        run_of(replace(config, seed=seed), tmp_path / str(seed))
        metrics = tmp_path / str(seed) / "metrics.jsonl"
        epochs = [json.loads(line) for line in metrics.read_text().splitlines()]
        for epoch, accuracy in zip(epochs, curve, strict=True):
            epoch["test_accuracy"] = accuracy
        metrics.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (row,) = rows(tmp_path)
    assert row.reached == reached


def test_the_precision_of_the_products_stands_beside_the_hardware(tmp_path):
    config = RECIPES["presets"].config(CELLS["cifar10-cnn-cwa"])
    run_of(config, tmp_path / "0")
    run_of(replace(config, seed=1, precision="bf16"), tmp_path / "1")
    (row,) = rows(tmp_path)
    assert row.recipe == "presets"
    assert row.hardware == "Example 3000, 2 threads; Example 3000, 2 threads, bf16"


def test_recipes_lengths_and_versions_are_never_averaged(tmp_path):
    presets = RECIPES["presets"].config(CELLS["mnist-fcn-cwa"])
    run_of(presets, tmp_path / "full")
    run_of(replace(presets, epochs=2), tmp_path / "short")
    run_of(replace(presets, optimizer=replace(presets.optimizer, betas=(0.5, 0.9))), tmp_path / "other")
    run_of(replace(RECIPES["paper"].config(CELLS["mnist-fcn-cwa"]), epochs=20), tmp_path / "paper")
    recipes = [row.recipe for row in rows(tmp_path)]
    assert recipes[0] == "presets"
    assert sorted(recipes[1:]) == [
        "paper; short: 20 of 500 epochs",
        "presets; optimizer.betas=[0.5, 0.9]",
        "presets; short: 2 of 20 epochs",
    ]
    assert all(row.seeds == 1 for row in rows(tmp_path))


def test_a_run_that_its_protocol_ended_is_not_short(tmp_path):
    config = RECIPES["paper"].config(CELLS["mnist-fcn-affine_bn"])
    for seed, done in ((0, 12), (1, 15)):
        run_of(replace(config, seed=seed), tmp_path / str(seed))
        metrics = tmp_path / str(seed) / "metrics.jsonl"
        metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:done]))
    (row,) = rows(tmp_path)
    assert (row.recipe, row.epochs, row.whole) == ("paper", "12-15", True)


def test_every_cell_has_a_row_and_unfinished_runs_none(tmp_path):
    run_of(RECIPES["presets"].config(CELLS["cifar10-fcn-cwa"]), tmp_path / "a")
    run_of(RECIPES["presets"].config(CELLS["cifar10-fcn-absnorm"]), tmp_path / "b")
    (tmp_path / "b/summary.json").unlink()
    table = {row.family: row for row in paper_rows("table2", load_runs([tmp_path]))}
    assert set(table) == {"cwa", "absnorm", "cwa_li"}
    assert (table["cwa"].seeds, table["absnorm"].seeds, table["absnorm"].recipe) == (1, 0, "open")
    assert table["absnorm"].mean is table["absnorm"].difference is None
    assert [row.family for row in rows(tmp_path)].count("cwa") == 1  # the same runs serve both tables


def test_a_seed_counted_twice_is_refused(tmp_path):
    for folder in ("a", "b"):
        run_of(RECIPES["presets"].config(CELLS["cifar10-fcn-cwa"]), tmp_path / folder)
    with pytest.raises(RunError, match="both hold"):
        rows(tmp_path)


def test_what_is_written(tmp_path):
    run_of(RECIPES["presets"].config(CELLS["mnist-cnn-cwa"]), tmp_path / "presets" / "a")
    assert is_reproduction(tmp_path)
    assert not is_reproduction(tmp_path / "presets")
    run_of(RECIPES["presets"].config(CELLS["mnist-cnn-cwa"]), tmp_path / "others" / "mine" / "b")
    assert not is_reproduction(tmp_path)  # it holds runs of other kinds
    shutil.rmtree(tmp_path / "others")
    written = write_tables(load_runs([tmp_path]), tmp_path)
    names = {"table1.csv", "table1.md", "table2.csv", "table2.md", "tables.html", "claims.md"}
    assert {path.name for path in written} == names == {path.name for path in tmp_path.iterdir() if path.is_file()}
    heading, *lines = (tmp_path / "table1.csv").read_text().splitlines()
    assert heading == (
        "table,dataset,architecture,family,recipe,epochs,seeds,mean,std,best_mean,paper,reached,seconds_per_run,"
        "hardware,commit,command,mixes"
    )
    assert len(lines) == 1  # a line for what was measured; in Markdown every cell
    assert len((tmp_path / "table1.md").read_text().splitlines()) == 2 + len(TABLES["table1"])


def test_runs_that_differ_in_name_alone_are_told_apart_and_not_compared(tmp_path):
    for seed in range(3):
        for family, accuracy in (("cwa", 80.0), ("affine_bn", 84.0)):
            config = replace(RECIPES["presets"].config(CELLS[f"cifar10-cnn-{family}"]), seed=seed)
            run_of(config, tmp_path / f"{family}{seed}", test_accuracy=accuracy + seed)
    config = replace(RECIPES["presets"].config(CELLS["cifar10-cnn-cwa"]), name="cifar10-cnn-cwa-zz")
    run_of(config, tmp_path / "zz", test_accuracy=70.0)
    run_of(replace(config, epochs=60), tmp_path / "long", test_accuracy=90.0)
    table = rows(tmp_path)
    assert {(row.recipe, row.seeds) for row in table if row.family == "cwa"} == {
        ("presets", 3),
        ("presets; name=cifar10-cnn-cwa-zz", 1),
        ("presets; long: 60 of 30 epochs", 1),
    }
    (claim,) = [line for line in claim_lines(table) if "not measured" not in line[-1]]
    assert claim[2] == "+4.00"
    assert claim[5:] == ["3, 3", "presets", "undecided (no per-image predictions)"]


def test_a_run_of_another_version_is_named(tmp_path):
    config = RECIPES["presets"].config(CELLS["cifar10-cnn-cwa"])
    run_of(config, tmp_path / "run")
    newer = config.to_dict() | {"invented": 1}
    (tmp_path / "run" / "config.json").write_text(json.dumps(newer))
    with pytest.raises(InputError, match=r"run: RunConfig has no field invented.*; leave it out"):
        rows(tmp_path)
