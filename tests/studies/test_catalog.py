"""Every study has its question, its page and its result in its own folder, and the product knows of none."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from studies.__main__ import main
from studies.shared.catalog import STUDIES, list_studies
from studies.shared.comparison import Comparison
from studies.shared.folder import StudyFolder

ROOT = STUDIES.parent
NAMES = sorted(list_studies())
LINK = r"\]\(([^)#]+)(?:#[^)]*)?\)"


def test_the_list_has_every_study_and_its_question(capsys):
    assert main([]) is None
    shown = capsys.readouterr().out
    assert {path.parent.name for path in STUDIES.glob("*/measure.py")} == set(NAMES)
    for name, question in list_studies().items():
        assert f"{name} " in shown
        assert "?" in question
        assert question in shown
        assert f"[{name}]({name}/README.md)" in (STUDIES / "README.md").read_text()


def test_the_list_imports_no_study():
    script = "import sys; from studies.__main__ import main; main([]); print('torch' in sys.modules)"
    listed = [sys.executable, "-c", f"{script}; print([name for name in sys.modules if name.endswith('.measure')])"]
    ran = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.rstrip().endswith("[]")


def test_a_study_that_is_none_is_answered_with_its_nearest():
    assert "did you mean 'drift'" in str(main(["drfit"]))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_explains_its_options(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        import_module(f"studies.{name}.measure").main(["--help"])
    assert stopped.value.code == 0
    assert f"usage: python -m studies {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_study_has_a_page_that_says_what_was_asked_and_found_and_how_to_run_it(name):
    page = (STUDIES / name / "README.md").read_text()
    assert all(heading in page for heading in ("**Asked.**", "**Found", "**Run.**", f"make study NAME={name}"))
    figure = STUDIES / name / "figure.py"
    assert figure.exists() == ("](figure.svg)" in page) == (STUDIES / name / "figure.svg").exists()


@pytest.mark.parametrize("page", sorted(STUDIES.rglob("README.md")), ids=lambda page: page.parent.name)
def test_what_a_page_points_to_is_there(page):
    links = [link for link in re.findall(LINK, page.read_text()) if not link.startswith("http")]
    assert links
    assert all((page.parent / link).exists() for link in links)


COMPARISONS = [name for name in NAMES if "comparison.Comparison(" in (STUDIES / name / "measure.py").read_text()]


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_table_of_a_comparison_is_of_its_result(name):
    module = import_module(f"studies.{name}.measure")
    (study,) = (value for value in vars(module).values() if isinstance(value, Comparison))
    assert study.folder.table.read_text() == study.markdown()


TABLES = [path for path in STUDIES.glob("*/*.md") if path.name != "README.md"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.parent.name}/{table.name}")
def test_a_table_stands_in_a_page(table):
    pages = [table.parent / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"<!-- {table.relative_to(ROOT)} -->\n\n{table.read_text()}" in page.read_text() for page in pages)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_shows_tables_of_studies_as_they_are(page):
    text = page.read_text()
    for name in re.findall(r"<!-- (studies/\S+\.md) -->", text):
        assert f"<!-- {name} -->\n\n{(ROOT / name).read_text()}" in text


def imported_by(source):
    """The packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def test_the_product_imports_no_study():
    sources = sorted((ROOT / "src").rglob("*.py"))
    assert len(sources) > 50
    outside = {"studies", "tests", "benchmarks", "tools"}
    assert not {str(source) for source in sources if outside & set(imported_by(source))}
    assert "studies" in set(imported_by(STUDIES / "ablation" / "measure.py"))


def test_studies_name_no_place_outside_their_folders_to_write_to(monkeypatch, tmp_path):
    """Whatever the current folder is: a study knows its folder by where its source is."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        module = import_module(f"studies.{name}.measure")
        folders = [value for value in vars(module).values() if isinstance(value, StudyFolder)]
        folders += [value.folder for value in vars(module).values() if isinstance(value, Comparison)]
        assert {folder.path for folder in folders} == {STUDIES / name}
    assert not os.listdir(tmp_path)


def test_paths_in_studies_start_from_their_source():
    for source in STUDIES.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Path":
                assert not any(isinstance(given, ast.Constant) for given in node.args), source


def test_studies_share_by_the_shared_folder_alone():
    imports = re.compile(r"^from studies\.(\w+)", re.MULTILINE)
    for source in STUDIES.glob("*/*.py"):
        assert set(imports.findall(source.read_text())) <= {source.parent.name, "shared"}, source
