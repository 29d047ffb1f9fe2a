"""The README: short, and true in every table, link, picture and line of code."""

import re
from pathlib import Path

import pytest

from conductance.report.table import NOTHING
from figures import words
from tools import draw_inside

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_it_shows_a_picture_and_results_before_anything_else_and_is_short():
    first_section = README.index("## ")
    assert README.index("docs/inside.svg") < first_section
    assert README.index("<!-- results/tables/overview.md -->") < first_section
    prose = re.sub(r"^\|.*\n", "", README, flags=re.MULTILINE)  # tables grow with what is measured
    assert len(prose.encode()) < 5500


@pytest.mark.parametrize("table", ["results/tables/overview.md", "benchmarks/overview.md"])
def test_its_tables_are_the_generated_ones(table):
    assert f"<!-- {table} -->\n\n{(ROOT / table).read_text()}" in README


def test_what_it_says_of_the_results_is_what_they_are():
    """BatchNorm ahead in every row but one; conductances ahead of the paper, and of affine layers without BatchNorm."""
    assert "BatchNorm is ahead in every row, but for the pooled FCN on CIFAR-10" in " ".join(README.split())
    heading, _, *lines = (ROOT / "results/tables/overview.md").read_text().splitlines()
    names = [name.strip() for name in heading.split("|")]
    for line in lines:
        cells = dict(zip(names, line.split("|"), strict=True))
        here, pooled, affine, normalized, paper = (
            accuracy(cells[name])
            for name in (
                "conductances (CWA)",
                "with a pooled interneuron",
                "affine",
                "affine + BatchNorm",
                "CWA in the paper",
            )
        )
        assert max(paper, affine) < here < normalized
        assert (pooled > normalized) == (cells["Data"].strip() == "cifar10" and cells["Network"].strip() == "fcn")


def accuracy(cell):
    """The mean in a cell; a network that was not trained is below all others."""
    return float(cell.split()[0].replace(NOTHING, "-inf"))


def test_the_picture_is_of_the_checked_in_run():
    assert words(draw_inside.PICTURE.read_text()) == words(draw_inside.draw())


def test_the_film_is_small_and_moves():
    film = (ROOT / "docs/live.webp").read_bytes()
    assert film[:4] == b"RIFF"
    assert film.count(b"ANMF") > 10  # frames
    assert len(film) < 500_000


def test_what_it_points_to_is_there():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 8
    assert all((ROOT / link).exists() for link in links)


def test_the_commands_it_names_exist():
    from conductance.cli.app import COMMANDS

    names = re.findall(r"conductance ([a-z]+)(?= |`|$)", "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL)))
    assert names
    assert set(names) <= COMMANDS.keys()
    targets = re.findall(r"^make ([a-z]+)", README, re.MULTILINE)
    assert targets
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)


def test_its_example_learns(capsys):
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) <= 20
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["right"].float().mean() > 0.9
    assert capsys.readouterr().out.endswith("of the test digits\n")
