"""Text of anybody: harmless in a terminal, in a spreadsheet, on a page and in a figure, through every writer."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import conductance
from conductance.cli.console import open_console
from conductance.errors import ConductanceError
from conductance.printable import cell, code_in_markdown, in_markdown, is_printable, printable
from conductance.report import summarize, terminal_table, write_csv, write_markdown, write_report
from conductance.runs import Run, RunConfig
from synthetic_runs import write_run

HOSTILE = [
    "=HYPERLINK(1)", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "<script>alert(1)</script>",
    "[x](javascript:alert(1))", "<javascript:alert(1)>", "![x](http://x/y.png)", "a|b", "`", "``x", "**b**", "_i_",
    "~~s~~", "&lt;b&gt;", "$x^{$", "$a$", "[red]x[/red]", "\\", "a\\", "../../x", "{{ 7*7 }}", "%s{0}", "'; --",
    "C:\\new", "日本", "é" * 90, "</svg><b>", '"quoted"', "", " ", "-", "# x", "1. x",
]  # fmt: skip
names = st.sampled_from(HOSTILE) | st.text(max_size=12)


@given(st.text() | st.text(st.characters(categories=["Cc", "Cs", "Cf", "Lu"])))
def test_what_is_printable_commands_nobody(text):
    shown = printable(text)
    assert is_printable(shown)
    assert printable(shown) == shown
    assert (shown == text) == is_printable(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode()


@given(names)
def test_no_cell_is_a_formula(text):
    shown = cell(text)
    assert shown == text or shown == f"'{text}"
    if shown[:1] in tuple("=+-@\t\r\n"):
        float(shown)
    assert cell(-0.5) == -0.5


@pytest.mark.parametrize("number", ["-0.5", "+3", "-1e-7", "1", "-.5"])
def test_a_number_stays_one(number):
    assert cell(number) == number


def inline(text):
    """The kinds of what a reader of Markdown makes of a line, and its words."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parseInline(text)[0].children
    return {token.type for token in tokens}, "".join(token.content for token in tokens)


@given(names)
@example("[x](javascript:alert(1))")
@example("\\[x](y)")
@example("&lt;")
def test_markdown_shows_the_text_itself(text):
    kinds, shown = inline(f"x {in_markdown(text)} x")
    assert kinds <= {"text", "text_special"}
    assert shown == f"x {printable(' '.join(text.split()))} x"


@given(names.filter(str.strip))
@example("a `b`")
@example("`")
def test_code_in_markdown_is_code(text):
    kinds, shown = inline(f"x {code_in_markdown(text)} x")
    assert kinds == {"text", "code_inline"}
    assert shown.split() == ["x", *printable(" ".join(text.split())).replace("|", r"\|").split(), "x"]


class Tags(HTMLParser):
    """The tags of a page, and where its links lead."""

    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href") or name.startswith("on")]


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    """The tags of a report on a run with an ordinary name."""
    place = tmp_path_factory.mktemp("harmless")
    return sorted(tags(write_report([Run(write_run(place / "a", epochs=2))], place / "r.html").read_text()).tags)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each draws a report
@given(name=names)
@example(name="<script>alert(1)</script>")
@example(name="=1+1")
@example(name="$x^{$")
def test_a_hostile_name_through_every_writer(name, harmless, tmp_path_factory):
    """It is refused in one line, or stands as text in the table, the page, the file and the terminal."""
    place = tmp_path_factory.mktemp("names")
    folder = write_run(place / "a", epochs=2)
    for file in ("config.json", "summary.json"):
        values = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**values, "name": name, "command": f"train {name}"}))
    try:
        RunConfig(name)
        accepted = True
    except ConductanceError as error:
        accepted = "\n" in str(error)
    run = Run(folder)
    if not accepted:
        with pytest.raises(ConductanceError):
            _ = run.settings
        return
    rows = summarize([run])
    page = tags(write_report([run], place / "r.html").read_text())
    assert sorted(page.tags) == harmless
    assert all(str(link).startswith(("#", "data:image/png;base64,")) for link in page.links)
    with write_csv(rows, place / "r.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["name"] == cell(name)
    [_, _, line] = [line for line in write_markdown(rows, place / "r.md").read_text().splitlines() if line[:1] == "|"]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 10
    with open_console().capture() as seen:
        open_console().print(terminal_table(rows))
    assert "\x1b" not in seen.get()


def test_a_saved_network_tells_hostile_names_as_text(tmp_path):
    model = conductance.create_model("fcn", input_shape=(1, 4, 4), widths=(4,), num_classes=2)
    folder = conductance.save(
        model, tmp_path / "saved", classes=["<script>x</script>", "[x](javascript:y)"], command="a `b` | c",
        origin={"commit": "<img src=x>"}, name="**bold**", preprocessing=conductance.data.Preprocessing("unit", 1),
    )  # fmt: skip
    page = (folder / "README.md").read_text().partition("---\n\n")[2]
    shown = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(page)
    assert "<script>" not in shown
    assert not tags(shown).links
    assert "img" not in tags(shown).tags
    with pytest.raises(ConductanceError, match="cannot be shown"):
        conductance.save(model, tmp_path / "other", classes=["\ud800", "b"])


@pytest.mark.parametrize("name", ["\x1b[2J", "\ud800", "a\nb", "\u202etxt.exe", "\x00", "x" * 201, "é" * 101])
def test_a_name_that_cannot_be_shown_is_refused_before_a_run_begins(name):
    with pytest.raises(ConductanceError, match=r"choose (another name|a name of)"):
        RunConfig(name)
