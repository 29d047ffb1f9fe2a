"""No measured number is typed into a page: it comes from a file that a comment names, or from code that runs."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# Their sentences discuss results; tests of their own compare them with the files.
DISCUSSED = {"training.md", "biophysics.md", "reproduction.md", "layers.md"}
PAGES = sorted(page for page in [*DOCS.glob("*.md"), *DOCS.glob("tutorials/*.md")] if page.name not in DISCUSSED)
CODE = re.compile(r"^(`{3,}).*?^\1|`[^`]*`|\$[^$]*\$", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"<!-- \S+ -->\n\n(\|.*\n)+")
MEASURED = re.compile(r"\d+\.\d+ ?%|\d+\.\d+ (?:points|ms|seconds|MB)|± ?\d")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_measured_number_is_typed(page):
    prose = CODE.sub("", GENERATED.sub("", page.read_text()))
    assert MEASURED.findall(prose) == []


def test_typed_numbers_are_found():
    assert MEASURED.search("CWA has 83.8 % after 30 epochs")
    assert MEASURED.search("it takes 1.5 seconds")
    assert MEASURED.search("83.75 ± 0.28")
    assert not MEASURED.search(GENERATED.sub("", "<!-- results/tables/a.md -->\n\n| a |\n| 83.8 % |\n"))
