"""Which networks a page can show: chains are read as they run, all others refused in a line. No browser is needed."""

import json
import re
from base64 import b64decode
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shown_networks import SIDE, networks, source_of
from torch import nn

from conductance.errors import ConductanceError, InputError
from conductance.live import build_page
from conductance.live.arrays import packed
from conductance.live.chain import chain_of
from conductance.live.page import page_data
from conductance.live.pictures import MOST, pictures
from conductance.models import FCN, ResNet18, get_family
from conductance.nn import AbsNormLinear, CWAConv1d, CWAConv2d, CWALinear
from conductance.share.source import Source


@given(source=networks())
def test_a_chain_gives_what_the_network_gives(source):
    p = source.preprocessing(source.images)
    through = p
    with torch.no_grad():
        for _, module in chain_of(source.network):
            through = module(through)
        assert torch.equal(through, source.network(p))


@given(source=networks())
def test_layers_fit_one_another_and_hold_every_synapse(source):
    data = json.loads(json.dumps(page_data(source)))["network"]
    layers = data["layers"]
    assert layers[0]["reads"] == data["input"]
    for before, layer in pairwise(layers):
        assert before["gives"] == layer["reads"]
    for layer in layers:
        if layer["kind"] == "average":
            taps = layer["reads"][0] * layer["kernel"][0] * layer["kernel"][1]
            for part in layer["synapses"]:
                assert len(numbers(part["e"])) == taps
                assert len(numbers(part["G"])) == taps * layer["gives"][0]


def numbers(values):
    return np.frombuffer(b64decode(values["base64"]), {"float16": "<f2", "float32": "<f4"}[values["type"]])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), st.booleans())
def test_numbers_are_kept_exactly(values, halves):
    exact = torch.tensor(values)
    if halves:
        exact = exact.clamp(-6e4, 6e4).half().float()
    kept = packed(exact)
    assert not halves or kept["type"] == "float16"
    assert np.array_equal(numbers(kept).astype(np.float32), exact.numpy())


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = CWALinear(6, 6)

    def forward(self, p):
        return p + self.layer(p)


class Depends(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = CWALinear(6, 6)

    def forward(self, p):
        return self.layer(p) if p.sum() > 0 else p


IMAGE = (1, SIDE, SIDE)
FLAT = nn.Flatten()
SMALL = CWAConv2d(1, 6, 3)


@pytest.mark.parametrize(
    ("network", "shape", "reason"),
    [
        (nn.Sequential(FLAT, CWALinear(49, 6), Branches()), IMAGE, "reads something else than the layer before it"),
        (nn.Sequential(FLAT, CWALinear(49, 6), Depends()), IMAGE, "depends on values"),
        (nn.Sequential(FLAT, nn.Linear(49, 6), nn.ReLU(), CWALinear(6, 3)), IMAGE, "no membrane"),
        (nn.Sequential(FLAT, AbsNormLinear(49, 6), nn.Linear(6, 3)), IMAGE, "AbsNormLinear"),
        (nn.Sequential(SMALL, nn.Sigmoid(), FLAT, nn.Linear(150, 3)), IMAGE, "Sigmoid"),
        (nn.Sequential(SMALL, nn.LPPool2d(2, 2), FLAT, nn.Linear(24, 3)), IMAGE, "LPPool2d"),
        (nn.Sequential(SMALL, nn.MaxPool2d(2, ceil_mode=True), FLAT, nn.Linear(54, 3)), IMAGE, "ceil_mode"),
        (nn.Sequential(SMALL, nn.AdaptiveAvgPool2d(2), FLAT, nn.Linear(24, 3)), IMAGE, "several sizes"),
        (nn.Sequential(nn.Flatten(2), CWAConv1d(1, 4, 3), FLAT, nn.Linear(188, 3)), IMAGE, "CWAConv1d"),
        (nn.Sequential(CWAConv2d(2, 4, 3), FLAT, nn.Linear(100, 3)), (2, SIDE, SIDE), "2 channels"),
        (nn.Sequential(FLAT, nn.Linear(49, 3)), IMAGE, "no membranes"),
        (nn.Sequential(CWAConv2d(1, 6, 3)), IMAGE, "gives a map"),
        (FCN(get_family("cwa_li"), IMAGE, 3, widths=(6,)), IMAGE, "LateralLinear"),
        (ResNet18(get_family("cwa"), IMAGE, 3, widths=(4, 4, 4, 4)), IMAGE, "the layer before it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_shown_is_refused_in_one_line(network, shape, reason):
    with pytest.raises(InputError, match=re.escape(reason)) as refused:
        page_data(source_of(network, shape))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("family", ["affine", "affine_bn"])
def test_affine_networks_stand_beside(family):
    ours = source_of(nn.Sequential(FLAT, CWALinear(49, 6), nn.Linear(6, 3)), IMAGE)
    theirs = source_of(FCN(get_family(family), IMAGE, 3, widths=(6,)), IMAGE)
    data = page_data(ours, theirs)
    assert [layer["kind"] for layer in data["beside"]["network"]["layers"]] == ["affine", "affine"]


def test_a_network_of_other_images_does_not_stand_beside():
    ours = source_of(nn.Sequential(FLAT, CWALinear(49, 6), nn.Linear(6, 3)), IMAGE)
    theirs = source_of(nn.Sequential(FLAT, nn.Linear(36, 3)), (1, 6, 6))
    with pytest.raises(InputError, match="images"):
        page_data(ours, theirs)
    with pytest.raises(InputError, match="classes"):
        page_data(ours, source_of(nn.Sequential(FLAT, nn.Linear(49, 4)), IMAGE))


def test_a_network_without_preprocessing_is_refused():
    bare = Source("bare", nn.Sequential(FLAT, CWALinear(49, 6)), None, None, None)
    with pytest.raises(ConductanceError, match="without preprocessing"):
        page_data(bare)


def test_the_shipped_images_are_the_first_of_mnist():
    source = Source.of(Path("mnist-small"))
    shown = pictures(source)
    assert len(shown.pixels) == len(shown.labels) == MOST
    with torch.no_grad():
        right = source.network(source.preprocessing(shown.pixels)).argmax(1) == shown.labels
    assert right.float().mean() > 0.98
    if source.labels is not None:  # MNIST is on this machine
        assert torch.equal(shown.pixels, source.images[:MOST])
        assert torch.equal(shown.labels, source.labels[:MOST])


def test_the_page_is_one_file_that_asks_nobody_and_always_the_same():
    sources = [Source.of(Path(name)) for name in ("mnist-small", "mnist-small-batchnorm")]
    page = build_page(*sources)
    assert page == build_page(*map(Source.of, (Path("mnist-small"), Path("mnist-small-batchnorm"))))
    assert "<!-- data -->" not in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page.split("<script", 1)[0])
    assert "default-src 'none'" in page
    assert not re.findall(r"\b(?:fetch|XMLHttpRequest|WebSocket|import)\s*\(", page)
    assert len(page.encode()) < 3_000_000


def test_a_name_cannot_become_part_of_the_page():
    source = source_of(nn.Sequential(FLAT, CWALinear(49, 6), nn.Linear(6, 3)), IMAGE)
    named = Source("</script><b>", source.network, source.preprocessing, ("</script>", "a", "b"), source.images)
    assert "</script><b>" not in build_page(named)


def test_every_script_is_on_the_page_and_says_what_it_is_for():
    from conductance.live.page import FILE, TEMPLATE

    listed = re.findall(r"<!-- script: (\S+) -->", (TEMPLATE / FILE).read_text())
    assert sorted(listed) == sorted(file.name for file in TEMPLATE.glob("*.js"))
    for file in TEMPLATE.glob("*.js"):
        lines = file.read_text().splitlines()
        assert lines[0].startswith("/** ")
        assert lines[0].endswith(" */")
        assert lines[1] == '"use strict";'
        assert len(lines) < 400
