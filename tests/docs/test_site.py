"""The site builds without a warning, all its links lead somewhere, and it asks no other host for anything."""

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("sphinx", reason="the site is built with the extra docs")
pytest.importorskip("myst_nb", reason="the site is built with the extra docs")

ROOT = Path(__file__).parents[2]
# What a page loads by itself, as opposed to what a reader may follow.
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
REFERENCE = re.compile(r"automodule:: (\S+)")


class Links(HTMLParser):
    """The addresses on a page, and the places on it that an address can name."""

    def __init__(self, page):
        super().__init__()
        self.followed, self.loaded, self.places = [], [], set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name"):
                self.places.add(value)
            elif (tag, name) in LOADED and ("rel", "canonical") not in attributes:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href"):
                self.followed.append(value)


TRAINING = {page.stem for page in (ROOT / "docs" / "tutorials").glob("*.md")} - {"reproduce"}
"""Tutorials that compute for seconds. test_tutorials.py runs their cells; slow tests run them in Jupyter."""


@pytest.fixture(
    scope="session",
    params=[pytest.param(TRAINING, id="one tutorial run"), pytest.param((), id="all run", marks=pytest.mark.slow)],
)
def site(tmp_path_factory, request):
    """Its folder. Sphinx reads every page, which takes half a minute."""
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", folder / "doctrees", "-c", "docs"]
    not_run = " ".join(f"docs/tutorials/{name}.md" for name in request.param)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "TUTORIALS_NOT_RUN": not_run}
    built = subprocess.run(
        [sys.executable, *command, ".", folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return folder / "html"


@pytest.fixture(scope="session")
def pages(site):
    return {page: Links(page) for page in sorted(site.rglob("*.html"))}


def test_links_lead_somewhere(site, pages):
    assert len(pages) > 30
    broken = []
    for page, links in pages.items():
        for address in (*links.followed, *links.loaded):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            place_exists = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].places
            if not target.exists() or not place_exists:
                broken.append(f"{page.relative_to(site)}: {address}")
    assert not broken


def test_nothing_is_loaded_from_another_host(pages):
    outside = {address for links in pages.values() for address in links.loaded if urlsplit(address).netloc}
    assert not outside


def test_no_page_shows_a_warning_or_where_it_was_built(site):
    for page in site.rglob("docs/**/*.html"):
        text = page.read_text()
        assert str(ROOT) not in text, page
        assert not re.search(r"site-packages|\w+Warning:|Traceback", text), page


def test_every_picture_is_described(site):
    for page in site.rglob("docs/**/*.html"):
        pictures = re.findall(r"<img [^>]*>", page.read_text())
        described = [re.search(r'alt="([^"]{20,})"', picture) for picture in pictures]
        assert all(words and "_images/" not in words[1] for words in described), page


def public_modules():
    """Every package that says what it gives away; the command line is documented by its own help."""
    package = ROOT / "src/conductance"
    rooms = [file.parent for file in package.rglob("__init__.py") if re.search(r"^__all__", file.read_text(), re.M)]
    named = {".".join(room.relative_to(package.parent).parts) for room in rooms}
    return named - {"conductance", "conductance.cli", "conductance.transform.export"}  # the last: given by transform


def test_the_reference_has_every_public_name(site):
    text = "".join(page.read_text() for page in (site / "docs" / "reference").glob("*.html"))
    places = set(re.findall(r'id="(conductance[\w.]*)"', text))
    pages = (ROOT / "docs" / "reference").glob("*.md")
    modules = {name for page in pages for name in REFERENCE.findall(page.read_text())}
    assert public_modules() <= modules
    for name in modules:
        module = importlib.import_module(name)
        missing = [each for each in getattr(module, "__all__", ()) if f"{name}.{each}" not in places]
        documented = [each for each in missing if callable(getattr(module, each))]
        assert not documented, f"{name}: {documented}"


def test_the_reference_begins_with_the_names_of_the_package():
    import conductance

    page = (ROOT / "docs" / "reference" / "index.md").read_text()
    assert [name for name in conductance.__all__ if f"conductance.{name}" not in page] == []


def test_every_page_can_be_reached_from_the_contents(site):
    contents = (site / "docs" / "index.html").read_text()
    pages = [page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")]
    pages = [page for page in pages if page.parts[0] not in ("_build", "static") and page.name != "index"]
    assert len(pages) > 20
    assert [page for page in pages if f"{page}.html" not in contents] == []
