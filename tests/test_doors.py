"""What a visitor of the repository finds: how to cite it, how to report, what runs on a change."""

import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


# CITATION.cff: the part of the schema of the Citation File Format 1.2.0 that the file uses -------------------------


def text(value):
    return isinstance(value, str) and value.strip() == value != ""


def authors(value):
    """A list of entities (a name) or persons (at least one of their names)."""
    person = {"family-names", "given-names", "name-particle", "name-suffix", "alias", "affiliation", "orcid", "email"}
    return bool(value) and all(
        all(map(text, each.values())) and (each.keys() == {"name"} or (each and each.keys() <= person))
        for each in value
    )


def keywords(value):
    return bool(value) and all(map(text, value)) and len(set(value)) == len(value)


def references(value):
    kinds = {"article", "conference-paper", "generic", "report", "unpublished"}
    allowed = {"type": kinds.__contains__, "title": text, "authors": authors, "notes": text, "year": is_year}
    return bool(value) and all(fits(each, allowed, {"type", "title", "authors"}) for each in value)


def is_year(value):
    return isinstance(value, int)


def fits(record, allowed, required):
    return required <= record.keys() <= allowed.keys() and all(allowed[key](value) for key, value in record.items())


CFF = {
    "cff-version": {"1.2.0"}.__contains__,
    "message": text,
    "title": text,
    "type": {"software", "dataset"}.__contains__,
    "authors": authors,
    "abstract": text,
    "license": text,
    "keywords": keywords,
    "references": references,
}
CFF_REQUIRED = {"cff-version", "message", "title", "authors"}


def test_the_citation_file_follows_the_format():
    assert fits(read("CITATION.cff"), CFF, CFF_REQUIRED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cff-version": 1.2},
        {"authors": []},
        {"authors": [{"name": "A", "alias": "B"}]},
        {"authors": [{"surname": "A"}]},
        {"keywords": ["a", "a"]},
        {"references": [{"title": "no type", "authors": [{"name": "A"}]}]},
        {"licence": "MIT"},
    ],
    ids=str,
)
def test_a_citation_file_that_does_not_is_noticed(wrong):
    assert not fits(read("CITATION.cff") | wrong, CFF, CFF_REQUIRED)


def test_it_names_the_license_and_the_authors_of_the_package():
    citation = read("CITATION.cff")
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert PROJECT["authors"][0]["name"] in (ROOT / "LICENSE").read_text()


# .github ---------------------------------------------------------------------------------------------------------


def test_every_supported_python_is_tested():
    prefix = "Programming Language :: Python :: 3."
    supported = ["3." + each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)]
    [job] = read(".github/workflows/tests.yml")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == supported
    assert PROJECT["requires-python"] == f">={supported[0]}"
    assert any(step.get("run") == ".ci/run" for step in job["steps"])


FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_asks_something(form):
    content = read(form)
    assert content.keys() == {"name", "description", "labels", "body"}
    identifiers = [element["id"] for element in content["body"]]
    assert len(set(identifiers)) == len(identifiers) > 0
    for element in content["body"]:
        assert element["type"] in ("textarea", "input")
        assert text(element["attributes"]["label"])
    assert any(element.get("validations", {}).get("required") for element in content["body"])
