"""The numbers of a table are those of the finished runs, and every rendering carries them."""

import csv
import json
import math
import re

import pytest
from rich.console import Console

from conductance.errors import RunError
from conductance.report import markdown_table, summarize, terminal_table, write_csv
from conductance.runs import load_runs
from synthetic_runs import write_run, write_study


def on_screen(rows, width=80):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(terminal_table(rows))
    return capture.get()


def test_mean_and_sample_deviation_over_seeds(tmp_path):
    for seed, accuracy in enumerate([90.0, 92.0, 97.0]):
        write_run(tmp_path / str(seed), seed=seed, epochs=2, test_accuracy=accuracy, seconds=10.0 * seed)
    (row,) = summarize(load_runs([tmp_path]))
    assert row.seeds == (0, 1, 2)
    assert row.test_accuracy == pytest.approx(93.0)
    assert row.test_accuracy_std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert row.seconds == pytest.approx(10.0)


def test_one_seed_has_no_deviation(tmp_path):
    write_run(tmp_path / "a", epochs=2, test_accuracy=91.5)
    rows = summarize(load_runs([tmp_path]))
    assert rows[0].test_accuracy_std is None
    assert "91.50 ± –" in markdown_table(rows)  # noqa: RUF001
    assert "91.50 ± –" in on_screen(rows)  # noqa: RUF001


def test_an_unfinished_run_changes_no_number_but_is_told(tmp_path):
    write_run(tmp_path / "a", seed=0)
    (alone,) = summarize(load_runs([tmp_path]))
    write_run(tmp_path / "b", seed=1, done=7)
    (beside,) = rows = summarize(load_runs([tmp_path]))
    assert beside.seeds == alone.seeds == (0,)
    assert beside.test_accuracy == alone.test_accuracy
    assert "seed 1: 7 of 20 epochs" not in markdown_table([alone])
    for text in (markdown_table(rows), on_screen(rows)):
        assert "seed 1: 7 of 20 epochs" in text


def test_a_setting_that_varies_between_seeds_is_told_below_the_table(tmp_path):
    for seed, (step, precision) in enumerate([(None, "no"), (None, "bf16"), (0.005, "no")]):
        file = write_run(tmp_path / "runs" / str(seed), seed=seed, epochs=2) / "config.json"
        config = json.loads(file.read_text())
        config["optimizer"]["learning_rate"], config["precision"] = step, precision
        if seed == 1:  # as if that version had been the first to know it
            config["data"]["max_mix"] = 0.5
        file.write_text(json.dumps(config))
    rows = summarize(load_runs([tmp_path / "runs"]))
    for text in (markdown_table(rows), " ".join(on_screen(rows).split())):
        assert "Different settings under one name: digits-cnn-cwa, optimizer.learning_rate left out / 0.005." in text
        assert not {"precision", "max_mix"} & set(re.split(r"\W", text))
    assert "optimizer.learning_rate left out / 0.005" in write_csv(rows, tmp_path / "rows.csv").read_text()
    assert "Different settings" not in markdown_table(
        summarize(load_runs([tmp_path / "runs" / "0", tmp_path / "runs" / "1"]))
    )


def test_a_configuration_with_no_finished_run_has_no_numbers(tmp_path):
    write_run(tmp_path / "a", done=1)
    (row,) = summarize(load_runs([tmp_path]))
    assert row.seeds == ()
    assert row.test_accuracy is row.best_test_accuracy is row.seconds is row.parameters is None


def test_configurations_stay_apart_and_in_order(tmp_path):
    rows = summarize(load_runs([write_study(tmp_path / "study", epochs=2)]))
    assert [(row.architecture, row.family) for row in rows] == [
        (architecture, family) for architecture in ("cnn", "mlp") for family in ("affine", "cwa", "cwa_bn")
    ]
    assert all(row.seeds == (0, 1, 2) for row in rows)


def test_trainings_of_different_lengths_are_not_averaged(tmp_path):
    write_run(tmp_path / "smoke", epochs=1)
    write_run(tmp_path / "full", epochs=3)
    assert [row.epochs for row in summarize(load_runs([tmp_path]))] == [1, 3]


def test_a_seed_counted_twice_is_refused(tmp_path):
    write_run(tmp_path / "first", epochs=2)
    write_run(tmp_path / "again", epochs=2)
    with pytest.raises(RunError, match=r"again and .*first both hold 'digits-cnn-cwa' with seed 0.*leave one"):
        summarize(load_runs([tmp_path]))


def test_folders_with_the_same_runs_have_a_row_each(tmp_path):
    for folder, seed, accuracy in (("a", 0, 90.0), ("a", 1, 94.0), ("b/c", 0, 80.0)):
        write_run(tmp_path / folder / f"run{seed}", seed=seed, epochs=2, test_accuracy=accuracy)
    write_run(tmp_path / "b" / "other", family="affine", epochs=2)
    rows = {row.label: row.test_accuracy for row in summarize(load_runs([tmp_path])) if row.family == "cwa"}
    assert rows == {"cwa · a": 92.0, "cwa · b/c": 80.0}
    assert "cwa · b/c" in markdown_table(summarize(load_runs([tmp_path])))
    (affine,) = [row for row in summarize(load_runs([tmp_path])) if row.family == "affine"]
    assert (affine.label, affine.folder) == ("affine", "")


def test_the_names_that_runs_were_given_stand_beside_their_family(tmp_path):
    write_run(tmp_path / "a", epochs=2)
    write_run(tmp_path / "b", epochs=2, name="wide")
    write_run(tmp_path / "c", epochs=2, name="digits-cnn-cwa-slow")
    write_run(tmp_path / "d", epochs=2, dataset="fashion_mnist", name="fashion-mnist-cnn-cwa")
    table = markdown_table(summarize(load_runs([tmp_path])))
    assert re.findall(r"cwa[^|]*", table) == ["cwa ", "cwa · slow ", "cwa · wide ", "cwa "]


def test_markdown_cells_cannot_break_the_table(tmp_path):
    write_run(tmp_path / "a", epochs=2, dataset="a|b\nc", name="a")
    lines = markdown_table(summarize(load_runs([tmp_path]))).splitlines()
    assert len(lines) == 3
    assert "a\\|b c" in lines[2]


def test_the_terminal_table_fits_80_columns_and_shows_markup_as_text(tmp_path):
    for architecture in ("cnn", "mlp"):
        for seed in range(2):
            write_run(
                tmp_path / f"{architecture}{seed}",
                architecture=architecture,
                dataset="[red]",
                family="cwa_bn",
                name=f"{architecture} with a name that is far longer than its column",
                seed=seed,
                seconds=3500,
            )
    text = on_screen(summarize(load_runs([tmp_path])))
    assert "[red]" in text
    assert "cwa_bn" in text
    assert text.count("58.3 min") == 2  # numbers are never cut
    assert max(map(len, text.splitlines())) <= 80


def test_csv_keeps_full_precision_and_leaves_the_unknown_empty(tmp_path):
    write_run(tmp_path / "runs" / "a", epochs=2, test_accuracy=100 / 3, family='odd,"family"')
    rows = summarize(load_runs([tmp_path / "runs"]))
    path = write_csv(rows, tmp_path / "new" / "rows.csv")
    with path.open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert float(line["test_accuracy"]) == 100 / 3
    assert line["test_accuracy_std"] == ""
    assert line["family"] == 'odd,"family"'
    assert line["seeds"] == "0"
