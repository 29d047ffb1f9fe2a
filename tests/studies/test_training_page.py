"""The numbers in docs/training.md are those of the studies' results."""

import csv
import re
from pathlib import Path
from statistics import fmean

import pytest

from studies.ablation.measure import ABLATION
from studies.difficulties import measure as difficulties
from studies.drift import measure as drift
from studies.shortcuts.measure import SHORTCUT_WAYS

TEXT = " ".join((Path(__file__).parents[2] / "docs" / "training.md").read_text().split())


def numbers(phrase):
    """The numbers that the page has at the places ``{}`` of a phrase."""
    (found,) = re.findall("([0-9.]+)".join(map(re.escape, phrase.split("{}"))), TEXT)
    return [float(number) for number in ([found] if isinstance(found, str) else found)]


def rounded(values, digits=1):
    """Equal to numbers that a person has rounded."""
    return pytest.approx(values, abs=0.501 * 10**-digits)


def rows(folder):
    return list(csv.DictReader(folder.result.read_text().splitlines()))


def accuracy(family, change, architecture="cnn"):
    return fmean(ABLATION.accuracies()[architecture, family, change])


@pytest.mark.parametrize(
    ("phrase", "cases"),
    [
        (
            "Affine + BatchNorm has {}, AbsNorm {}, CWA {}",
            [("affine_bn", "none"), ("absnorm", "none"), ("cwa", "none")],
        ),
        (
            "at half the width {}, {} and {}",
            [("affine_bn", "half width"), ("absnorm", "half width"), ("cwa", "half width")],
        ),
        ("the CNN {} % plain, {} % centered", [("affine", "none"), ("affine", "centered gradients")]),
        ("(CWA {}; they give affine", [("cwa", "5x5 kernels")]),
        ("{} with them alone", [("cwa", "pixels not clipped")]),
        ("a detached denominator ({})", [("cwa", "detached denominator", "fcn")]),
        (
            "affine + BatchNorm {}, AbsNorm {}, CWA {}, affine {}. So",
            [
                ("affine_bn", "none", "fcn"),
                ("absnorm", "none", "fcn"),
                ("cwa", "none", "fcn"),
                ("affine", "none", "fcn"),
            ],
        ),
        (
            "affine networks: {} (step 0.03, batches of 1000), CWA {}, AbsNorm {}, affine + BatchNorm {}",
            [(family, "the preset", "fcn") for family in ("affine", "cwa", "absnorm", "affine_bn")],
        ),
    ],
)
def test_accuracies_of_the_ablation(phrase, cases):
    assert numbers(phrase) == rounded([accuracy(*case) for case in cases])


def test_points_of_the_ablation():
    cwa, absnorm = accuracy("cwa", "none"), accuracy("absnorm", "none")
    assert numbers("**{} points are Dale's law**") == rounded([absnorm - cwa])
    assert numbers("**{} points are what BatchNorm adds**") == rounded([accuracy("affine_bn", "none") - absnorm])
    muon = cwa - max(accuracy("cwa", "adam"), accuracy("cwa", "adam, step 0.3"))
    assert numbers("({}, against the better step of Adam)") == rounded([muon])
    assert numbers("nearly as much ({}, against") == rounded([cwa - accuracy("cwa", "sigma 0.5")])


def test_accuracies_of_the_shortcuts():
    def reached(*changes):
        return [fmean(SHORTCUT_WAYS.accuracies()["resnet18", "cwa", change]) for change in changes]

    plain, faster = "mean, gradients not centered", "mean, gradients not centered, step 0.1"
    assert numbers("0.1 {} %, at 0.03 {} %, centered {} %") == rounded(reached(faster, plain, "mean"))
    joined = reached("conductance, gradients not centered, step 0.1", "conductance")
    assert numbers("`conductance` shortcuts {} % at 0.1, and {} % centered") == rounded(joined)


def test_shares_of_the_drift():
    last = {}
    for row in rows(drift.FOLDER):
        if row["step"] == str(drift.STEPS):
            last.setdefault((row["gradients"], row["layer"]), []).append(100 * float(row["offset"]))
    plain, centered = (
        [fmean(seeds) for (kind, _), seeds in last.items() if kind == gradients] for gradients in ("plain", "centered")
    )
    assert numbers("steps {} to {} % of z²") == rounded([min(plain), max(plain)], 0)
    assert numbers("and {} to {} % with centered ones") == rounded([min(centered), max(centered)], 0)


GLOROT, WHOLE = "CWA, Glorot around 1", "CWA, log-normal, balanced, twins"


def means(quantity, network, **places):
    """The means over the seeds, by layer and place."""
    found = {}
    for row in rows(difficulties.FOLDER):
        wanted = {"quantity": quantity, "network": network, **places}
        if all(row[name] == str(value) for name, value in wanted.items()):
            found.setdefault((row["layer"], row["place"]), []).append(float(row["value"]))
    return [fmean(seeds) for seeds in found.values()]


def test_numbers_of_the_difficulties():
    second, affine, heavy = (
        means("spectrum", network, place=2)[0] for network in (GLOROT, "affine", "CWA, log-normal")
    )
    assert numbers("signed matrix G e is {} of the first") == rounded([second], 3)
    assert numbers("where an affine layer's is {}. So") == rounded([affine], 2)
    assert numbers("own: the second singular value is at {}. It") == rounded([heavy])
    assert numbers("It holds up to {} %") == rounded([100 * max(means("common mode", GLOROT))])
    balanced, batchnorm = (means("gradient", network, place=10)[0] for network in (WHOLE, "affine + BN"))
    assert numbers("Balanced, they are at {} there; affine + BatchNorm at {}. Muon") == rounded(
        [balanced, batchnorm], 2
    )


def test_numbers_of_closed_synapses():
    returned = means("returned", "h projected")
    assert numbers("that are closed {} to {} % are open") == rounded([100 * min(returned), 100 * max(returned)], 0)
    assert means("silent", "h rectified")[-1] == pytest.approx(2 / 3, abs=0.02)
    closed = means("silent", "h projected")
    assert closed[0] == pytest.approx(1 / 3, abs=0.02)
    assert closed[9:] == pytest.approx([1 / 6] * 6, abs=0.02)
