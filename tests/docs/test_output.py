"""What a page shows as output is what its code prints, but for the digits of numbers."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("convert.md", "inside.md", "share.md", "export.md", "sklearn.md")
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def words(output):
    """The words, with # for every number."""
    return re.sub(r"-?\d+(\.\d+)?(e[-+]\d+)?", "#", output).split()


@pytest.mark.parametrize("page", PAGES)
def test_the_output_is_what_the_code_prints(page, tmp_path, monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    names, shown = {"__name__": page}, 0
    for kind, text in BLOCK.findall((DOCS / page).read_text()):
        if kind == "python":
            capsys.readouterr()
            exec(compile(text, DOCS / page, "exec"), names)
        else:
            shown += 1
            assert words(capsys.readouterr().out) == words(text)
    pyplot.close("all")
    assert shown >= 3


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text())
    assert all((DOCS / link).exists() for link in links if "://" not in link)
