"""The page holds everything it needs, says where its numbers come from, and takes no text for markup."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conductance.analysis.internals import count_balance
from conductance.errors import ConductanceError
from conductance.report import summarize, write_report
from conductance.report.curves import ACCURACIES, _fall, _rise
from conductance.report.portraits import balance_counts
from conductance.runs import load_runs
from synthetic_runs import write_run, write_study

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags nest, and gathers what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in {"src", "href", "xlink:href"}:
                self.references.append(value)
            self.references += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    return write_report([study], tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


def report_text(folder):
    return write_report([folder / "runs"], folder / "out").read_text(encoding="utf-8")


def test_the_page_refers_to_nothing_outside_itself(page):
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.references
    drawn = {each for each in outline.references if each.startswith("data:image/png;base64,")}
    assert set(outline.references) - drawn <= {f"#{name}" for name in outline.ids}
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert "@import" not in page


def test_the_page_is_small(page):
    assert len(page.encode()) < 1_500_000


def test_a_page_of_a_hundred_networks_opens_at_once(page):
    """It has as many elements and bytes as a browser lays out in well under two seconds; the rest waits, folded."""
    [*portraits] = re.findall(r"<details.*?</details>", page, flags=re.DOTALL)
    assert len(portraits) == 4
    assert [portrait.startswith("<details open") for portrait in portraits] == [True, True, True, False]
    for portrait in portraits:
        assert len(Outline(portrait).tags) < 1000
        assert len(portrait.encode()) < 150_000


def test_a_curve_a_panel_and_four_columns_a_portrait(page):
    assert page.count('aria-label="Learning curves') == 2
    for quantity in ("Conductances G", "Membrane potential z", "Output p", "Balance of each unit"):
        assert page.count(f'aria-label="{quantity} by layer') == 4  # cwa and cwa_bn, cnn and mlp
    assert page.count("Seed 0, the lowest seed") == 4
    assert Outline(page).tags.count("svg") == 2 + 4 * (4 + 2)  # and two maps


def test_figures_follow_the_theme(page):
    figures = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "currentColor" in figures
    assert "var(--excitatory" in figures
    assert "var(--inhibitory" in figures
    assert "#000000" not in figures
    assert "#ffffff" not in figures


def test_the_page_tells_where_its_numbers_come_from(page):
    text = Outline(page).text
    for seed in range(3):
        assert f"conductance train digits-mlp-cwa_bn --seed {seed}" in text
    assert "device cpu, cpu Example 3000, threads 2" in text
    assert "torch 2.13.0" in text
    assert "0123456789abcdef0123456789abcdef01234567" in text
    assert "Also varied" not in text


def test_the_same_runs_give_the_same_page(tmp_path):
    write_run(tmp_path / "runs" / "a", epochs=2)
    assert report_text(tmp_path) == report_text(tmp_path)


def test_a_setting_that_varies_between_seeds_is_told(tmp_path):
    for seed in range(2):
        file = write_run(tmp_path / "runs" / str(seed), seed=seed, epochs=2) / "config.json"
        config = json.loads(file.read_text())
        config["optimizer"]["learning_rate"] = 0.01 / (1 + seed)
        file.write_text(json.dumps(config))
    assert "optimizer.learning_rate: 0.01 / 0.005" in report_text(tmp_path)


def test_markup_in_a_run_stays_text(tmp_path):
    evil = '<script>alert("1")</script>&$x_1$'
    for name in (evil, evil + "2"):
        folder = write_run(
            tmp_path / "runs" / str(len(name)),
            name=name,
            dataset=evil,
            architecture="cnn",
            family="cwa" + evil,
            epochs=2,
            command=["train", evil],
            git_commit=evil,
            hardware={evil: evil},
        )
        file = folder / "internals.json"
        internals = json.loads(file.read_text())
        internals["layers"][0]["name"] = evil
        file.write_text(json.dumps(internals))
    write_run(tmp_path / "runs" / "unfinished", name=evil, done=1)
    outline = Outline(report_text(tmp_path))
    assert "script" not in outline.tags
    assert outline.text.count(evil) > 10


def test_unfinished_runs_alone_still_make_a_page(tmp_path):
    write_run(tmp_path / "runs" / "a", done=3)
    write_run(tmp_path / "runs" / "b", seed=1, done=0)
    text = Outline(report_text(tmp_path)).text
    assert "seed 0: 3 of 20 epochs" in text
    assert "seed 1: 0 of 20 epochs" in text
    assert "Learning curves" not in text
    assert "Provenance" not in text


@pytest.mark.parametrize("accuracy", [0.0, 50.0, 100.0])
def test_a_single_flat_epoch_is_drawn_at_a_whole_epoch(tmp_path, accuracy):
    folder = write_run(tmp_path / "runs" / "a", family="affine", epochs=1)
    epoch = {"epoch": 1, "train_accuracy": accuracy, "test_accuracy": accuracy}
    (folder / "metrics.jsonl").write_text(json.dumps(epoch) + "\n")
    (curve,) = re.findall(r'<svg[^>]*aria-label="Learning curves.*?</svg>', report_text(tmp_path), flags=re.DOTALL)
    assert {"0", "1", "2"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", curve))


def test_dead_layers_can_be_drawn(tmp_path):
    file = write_run(tmp_path / "runs" / "a", epochs=2) / "internals.json"
    internals = json.loads(file.read_text())
    for layer in internals["layers"]:
        layer["balance"] = []
        layer["active_fraction"] = 0.0
        for name in ("excitatory_conductance", "inhibitory_conductance"):
            layer[name] = [5] + [0] * (len(layer[name]) - 1)
        for name in ("z", "p"):
            layer[name] = [0] * len(layer[name])
    file.write_text(json.dumps(internals))
    text = report_text(tmp_path)
    assert "0% active" in text
    assert "100% closed" in text


def test_the_page_goes_where_it_is_told(tmp_path):
    write_run(tmp_path / "runs" / "a", family="affine", epochs=1)
    runs = [tmp_path / "runs"]
    assert write_report(runs, tmp_path / "new" / "deep") == tmp_path / "new" / "deep" / "report.html"
    assert write_report(runs, tmp_path / "mine.html") == tmp_path / "mine.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html", "new", "runs"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    write_run(tmp_path / "runs" / "a", family="affine", epochs=1)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ConductanceError, match=r"cannot write .*report\.html .*; choose a place"):
        write_report([tmp_path / "runs"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "runs"]


def test_the_accuracy_scale_rises_and_inverts():
    accuracies = np.linspace(0, 100, 201)
    assert (np.diff(_rise(accuracies)) > 0).all()
    np.testing.assert_allclose(_fall(_rise(accuracies)), accuracies, atol=1e-9)
    assert list(ACCURACIES) == sorted(ACCURACIES, reverse=True)


@given(E=arrays(float, 20, elements=st.floats(0, 1e5)), I=arrays(float, 20, elements=st.floats(0, 1e5)))
def test_the_balance_that_is_drawn_is_that_of_the_units(E, I):
    total = E + I
    balance = np.divide(E - I, total, out=np.zeros(20), where=total > 0)
    expected, _ = np.histogram(balance, bins=40, range=(-1, 1))
    np.testing.assert_array_equal(balance_counts({"balance": count_balance(E, I)}), expected)


def test_runs_of_0_1_look_the_same(tmp_path):
    for version in ("0.1.0", "0.2.0"):
        file = write_run(tmp_path / version / "runs" / "a", epochs=2, version=version) / "internals.json"
        internals = json.loads(file.read_text())
        for layer in internals["layers"]:
            layer.pop("fields", None)  # 0.1 kept no receptive fields
        file.write_text(json.dumps(internals))
    assert report_text(tmp_path / "0.1.0") == report_text(tmp_path / "0.2.0")


def test_a_report_reads_each_file_once(tmp_path, monkeypatch):
    write_study(tmp_path / "runs", epochs=2)
    read, opened = Path.open, []

    def counting(self, *arguments, **options):
        opened.append(self)
        return read(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", counting)
    runs = load_runs([tmp_path / "runs"])
    summarize(runs)
    write_report(runs, tmp_path / "report.html")
    files = [file for file in opened if tmp_path in file.parents]
    files = [file for file in files if file.suffix in (".json", ".jsonl")]
    assert {"config.json", "metrics.jsonl", "summary.json", "internals.json"} == {file.name for file in files}
    assert len(files) == len(set(files))


def test_importing_the_report_loads_nothing_heavy():
    code = (
        "import sys, conductance.report; "
        "print({'matplotlib', 'jinja2', 'rich'} & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
