"""The commands that pages show exist, and so do their options."""

import re
from pathlib import Path

import pytest

from studies.shared.catalog import list_studies

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts and "static" not in page.parts]
REPORTS = [ROOT / "results" / "README.md", *sorted(ROOT.glob("studies/**/README.md"))]
"""Their commands stand in the text."""
INLINE = re.compile(r"`((?:conductance|make|python -m studies) [^`\n]+)`")
SHELL = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


def lines(page):
    """The commands in a page's blocks of shell, without comments."""
    text = "".join(SHELL.findall(page.read_text())).replace("\\\n", " ")
    return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]


SHOWN = sorted(
    {line for page in PAGES for line in lines(page)}
    | {line for page in REPORTS for line in INLINE.findall(page.read_text())}
)


def test_pages_show_commands():
    assert len(SHOWN) > 40


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_exists(line):
    from conductance.cli.app import COMMANDS

    words = line.split()
    if words[0] == "conductance":
        assert words[1] in COMMANDS
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word and not word.startswith(('"', "-", "$"))]
        assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets[:1])
        named = [word.removeprefix("NAME=") for word in words if word.startswith("NAME=")]
        assert not named or words[1] != "study" or named[0] in {*list_studies(), "..."}
    elif words[:3] == ["python", "-m", "studies"]:
        assert words[3] in list_studies()


OPTIONS = sorted(
    {
        (line.split()[1], option)
        for line in SHOWN
        if line.startswith("conductance ")
        for option in re.findall(r"--[\w.-]+", line)
    }
)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_an_option_exists(command, option, capsys):
    from conductance.cli import main

    preset = ["mnist-cnn-cwa"] if command in ("train", "tune") else []
    with pytest.raises(SystemExit):
        main([command, *preset, "--help"])
    assert re.search(rf"{re.escape(option)}\b", re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out))
