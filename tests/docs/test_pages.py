"""The pages' code runs, block after block, in an empty folder."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("trainer.md", "ten_lines.md", "circuits.md", "clusters.md", "scale.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page):
    """The code on a page, each block with the line that it begins in."""
    text = (DOCS / page).read_text()
    return [(text[: match.start(1)].count("\n"), match[1]) for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES)
def test_its_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page}
    assert len(blocks(page)) >= 2
    for line, code in blocks(page):
        exec(compile("\n" * line + code, DOCS / page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text())
    assert all((DOCS / link).exists() for link in links if "://" not in link)
