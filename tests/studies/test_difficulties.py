"""The difficulties: what is measured is what its name says, and the figure shows it."""

import csv

import numpy as np
import pytest
import torch

from conductance.analysis import observe
from conductance.data import load_dataset
from conductance.models import create_model
from figures import words
from studies.difficulties import measure as difficulties
from studies.difficulties.figure import FORMS, WORDS, difficulties_figure


def test_common_mode_is_1_where_all_units_do_the_same_and_1_over_n_where_each_does_its_own():
    shared = torch.randn(50, 1, dtype=torch.float64) * torch.rand(1, 8, dtype=torch.float64)
    assert difficulties.common_mode(shared) == pytest.approx(1)
    assert difficulties.common_mode(torch.eye(8)) == pytest.approx(1 / 8)


def test_the_values_before_rectification_are_the_layers_own():
    torch.manual_seed(0)
    images = torch.rand(4, 1, 8, 8)
    model = create_model("cnn", "cwa", (1, 8, 8), 10, widths=(6, 4))
    for seen, z in zip(observe(model, images), difficulties.before_rectification(model, images), strict=True):
        torch.testing.assert_close(z, seen.z)
    affine = create_model("cnn", "affine_bn", (1, 8, 8), 10, widths=(6, 4))
    first, _ = difficulties.before_rectification(affine, images)
    torch.testing.assert_close(first.mean((0, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difficulties, "SEEDS", 1)
        patch.setattr(difficulties, "TRAINING_EPOCHS", 3)
        patch.setattr(difficulties, "SPECTRUM_LAYER", 1)
        file = tmp_path_factory.mktemp("difficulties") / "difficulties.csv"
        difficulties.measure_difficulties(file, "digits-cnn")
    return file


def test_what_the_table_says_holds_on_the_digits(table):
    with table.open() as file:
        rows = list(csv.DictReader(file))

    def values(quantity, network):
        return np.array([float(r["value"]) for r in rows if (r["quantity"], r["network"]) == (quantity, network)])

    glorot, whole = "CWA, Glorot around 1", "CWA, log-normal, balanced, twins"
    assert values("common mode", glorot)[-1] > 2 * values("common mode", whole)[-1]
    assert ((values("active", whole) > 0.3) & (values("active", whole) < 0.7)).all()
    for network in difficulties.STARTS:
        for quantity in ("spectrum", "gradient"):
            spectrum = values(quantity, network)
            assert len(spectrum) == 128  # of the second layer's units
            assert spectrum[0] == 1
            assert (np.diff(spectrum) <= 0).all()
    assert (values("returned", "h rectified") == 0).all()
    assert (values("returned", "h projected") > 0.1).all()


def test_the_figure_names_what_it_shows(table):
    shown = words(difficulties_figure(table))
    assert {WORDS[name] for name in difficulties.STARTS} <= shown
    assert {f"closed, {FORMS[form]}" for form in ("h rectified", "h clamped")} <= shown


def test_the_checked_in_figure_is_of_the_result():
    folder = difficulties.FOLDER
    assert words(folder.figure.read_text()) == words(difficulties_figure(folder.result))


def test_the_digits_have_the_images_that_a_start_is_measured_on():
    assert len(load_dataset("digits").train) >= difficulties.IMAGES
