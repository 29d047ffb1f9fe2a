"""What docs/biophysics.md shows of networks runs, and the figures in its text are those of the tables."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "biophysics.md").read_text()
SECTION = PAGE[PAGE.index("## From a trained network") : PAGE.index("## Circuits")]
CIRCUITS = PAGE[PAGE.index("## Circuits") : PAGE.index("## A recurrent circuit")]
RECURRENT = PAGE[PAGE.index("## A recurrent circuit") : PAGE.index("## Where the numbers")]


def rows(name):
    return list(csv.DictReader((ROOT / "studies" / "membranes" / f"{name}.csv").read_text().splitlines()))


@pytest.mark.parametrize("section", [SECTION, CIRCUITS, RECURRENT], ids=["network", "circuit", "recurrent"])
def test_the_example_runs_and_prints_what_the_page_shows(section, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", section, re.DOTALL)
    exec(compile(code, "docs/biophysics.md", "exec"), {})
    digits = re.compile(r"\d\.?\d*e-\d+|\d+\.\d+")  # machines round these differently
    assert digits.sub("#", capsys.readouterr().out) == digits.sub("#", shown)
    assert section is not SECTION or sorted(file.name for file in (tmp_path / "scripts").iterdir()) == [
        "brian2_hidden_1.py",
        "neuron_hidden_1.py",
    ]


def test_the_figures_in_the_text_are_those_of_the_tables():
    accuracies, layers = rows("result"), rows("layers")
    text = " ".join(SECTION.split())

    def accuracy(time, rate=""):
        (row,) = (row for row in accuracies[2:] if (row["time"], row["rate_max"]) == (str(time), rate))
        return float(row["accuracy"])

    assert f"({float(accuracies[0]['accuracy']):.2f} %)" in text
    assert f"classified at {accuracy(10):.1f} % after 10 ms" in text
    assert accuracy(100) == float(accuracies[1]["accuracy"])
    assert f"{accuracy(100, '1000.0'):.1f} % after 100 ms with 1000" in text
    assert f"{accuracy(200, '300.0'):.1f} % after 200 ms with 300" in text
    assert f"{accuracy(200, '100.0'):.1f} % with 100" in text
    for rate, phrase in (
        ("1000.0", "{:.1f} mV in the first and {:.1f} mV in the fourth"),
        ("100.0", "{:.1f} and {:.1f} mV"),
    ):
        rms = [float(row["rms"]) for row in layers if row["rate_max"] == rate]
        assert phrase.format(rms[0], rms[-1]) in text
    float64, float32 = ([float(row["greatest"]) for row in layers[k : k + 4]] for k in (4, 0))
    assert f"{max(float64):.1e}".replace("e-0", "e-") in text
    assert ", ".join(f"{each:.1e}".replace("e-0", "e-") for each in float32) in text
