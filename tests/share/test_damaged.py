"""Files that are damaged, of a newer version or made to do harm: one line, no code run, nothing loaded."""

import json
import os
import pickle

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import conductance
from conductance.errors import ConductanceError, InputError, SavedNetworkError

SEVERAL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path):
    model = conductance.create_model("cnn", input_shape=(1, 8, 8), widths=(4, 6), num_classes=3)
    return conductance.save(
        model, tmp_path / "saved", preprocessing=conductance.data.Preprocessing("unit", 1), classes=["a", "b", "c"]
    )


def refusal(folder):
    """The one line that loading gives."""
    with pytest.raises(SavedNetworkError) as raised:
        conductance.load(folder)
    line = str(raised.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


def rewrite(folder, change):
    file = folder / "conductance.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def test_weights_that_are_a_pickle_are_not_run(folder, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Harm()))
    assert "damaged" in refusal(folder)
    torch.save({"harm": Harm()}, folder / "model.safetensors")
    assert "damaged" in refusal(folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "kind", ["os.system", "builtins.eval", "Module", "ScriptModule", "torch.nn.Linear", "__class__"]
)
def test_no_class_outside_the_table_is_made(folder, kind):
    rewrite(folder, lambda values: values["modules"].update({"": {"kind": kind, "modules": {}}}))
    assert f"no kind of module {kind}" in refusal(folder)


@pytest.mark.parametrize("name", ["conductance.json", "model.safetensors"])
def test_a_file_that_is_missing(folder, name):
    (folder / name).unlink()
    assert f"holds no {name}" in refusal(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "\x00", "[" * 100_000, '{"format": "1"}', '{"format": true}']
)
def test_a_description_that_is_none(folder, text):
    (folder / "conductance.json").write_text(text)
    assert "conductance.json is damaged" in refusal(folder)


def test_a_newer_format_says_so(folder):
    rewrite(folder, lambda values: values.update(format=2, version="0.7.1"))
    line = refusal(folder)
    assert f"written by conductance 0.7.1, and this is {conductance.__version__}" in line
    assert "pip install --upgrade" in line


@pytest.mark.parametrize("what", ["kind", "option"])
def test_a_kind_or_an_option_of_a_newer_version_says_so(what, folder):
    def change(values):
        values["version"] = "0.7.1"
        layer = values["modules"][""]["modules"]["readout"]
        layer.update({"kind": "Novel"} if what == "kind" else {"option": True})

    rewrite(folder, change)
    assert "written by conductance 0.7.1" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(folder, value, tmp_path):
    model = nn.Sequential(conductance.nn.CWALinear(4, 3), nn.BatchNorm1d(3))
    for tensor in (model[0].g, model[1].running_mean):
        before = tensor.detach().flatten()[0].item()
        with torch.no_grad():
            tensor.flatten()[0] = value
        with pytest.raises(InputError, match="infinite or NaN"):
            conductance.save(model, tmp_path / "other")
        with torch.no_grad():
            tensor.flatten()[0] = before
    assert not (tmp_path / "other").exists()
    state = safetensors.torch.load_file(folder / "model.safetensors")
    state["readout.weight"][0, 0] = value
    safetensors.torch.save_file(state, folder / "model.safetensors")
    assert "readout.weight has 1 of" in refusal(folder)


def test_numbers_beyond_float16_are_not_saved_in_it(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2))
    nn.init.constant_(model[0].weight, 1e6)
    with pytest.raises(InputError, match=r"in float16 0\.weight has 4 of 4"):
        conductance.save(model, tmp_path / "saved", dtype="float16")
    conductance.save(model, tmp_path / "saved", dtype="bfloat16")


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "type"])
def test_weights_of_another_architecture(folder, change):
    state = safetensors.torch.load_file(folder / "model.safetensors")
    if change == "missing":
        del state["readout.weight"]
    elif change == "extra":
        state["further"] = torch.zeros(1)
    elif change == "shape":
        state["readout.weight"] = torch.zeros(2, 2)
    else:
        state["readout.weight"] = state["readout.weight"].long()
    safetensors.torch.save_file(state, folder / "model.safetensors")
    assert "does not fit" in refusal(folder)


def test_a_layer_whose_own_words_differ(folder):
    """The tensors fit, but mean something else."""
    rewrite(
        folder, lambda values: values["modules"][""]["modules"]["hidden"]["modules"]["1"].update(nonnegative="softplus")
    )
    assert "the form of its conductances differs (saved: clamped; here: softplus)" in refusal(folder)


def places(tree, path=()):
    """All places in a tree of plain values."""
    yield path
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


def loaded_or_refused(folder):
    """The network, or None where loading gives its one line; any other exception is a failure."""
    try:
        return conductance.load(folder)
    except SavedNetworkError as error:
        line = str(error)
    assert "\n" not in line
    return None


WRONG = st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats(allow_nan=False) | st.text(max_size=5)
WRONG |= st.lists(st.integers(0, 3), max_size=3) | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)


@SEVERAL
@given(data=st.data())
def test_any_value_in_the_description_may_be_wrong(folder, data):
    """It is one line, or a network of the same weights: never another exception, never a long wait."""
    original = (folder / "conductance.json").read_text()
    values = json.loads(original)
    *path, last = data.draw(st.sampled_from([place for place in places(values) if place]))
    inside = values
    for name in path:
        inside = inside[name]
    wrong = data.draw(WRONG)
    if data.draw(st.booleans()) and isinstance(inside, dict):
        del inside[last]
    else:
        inside[last] = wrong
    try:
        (folder / "conductance.json").write_text(json.dumps(values))
        loaded = loaded_or_refused(folder)
        if loaded is None:
            return
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        assert torch.equal(loaded.network.readout.weight, weights["readout.weight"])
    finally:
        (folder / "conductance.json").write_text(original)


@SEVERAL
@given(data=st.data())
def test_any_byte_of_the_weights_may_be_wrong(folder, data):
    original = (folder / "model.safetensors").read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255))
    cut = data.draw(st.booleans())
    try:
        (folder / "model.safetensors").write_bytes(
            original[:place] if cut else original[:place] + bytes([byte]) + original[place + 1 :]
        )
        loaded_or_refused(folder)
    finally:
        (folder / "model.safetensors").write_bytes(original)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("mnits-cnn", "did you mean 'mnist-cnn'"),
        ("nowhere/at/all", "there is no folder nowhere/at/all"),
        ("./nowhere", "there is no folder ./nowhere"),
    ],
)
def test_what_is_not_there(source, told):
    with pytest.raises(ConductanceError) as raised:
        conductance.load(source)
    assert told in str(raised.value)


def test_a_folder_without_a_network(tmp_path):
    assert "no network was saved there" in refusal(tmp_path)


@pytest.mark.parametrize(
    "preprocessing",
    [
        {"kind": "unit"},
        {"kind": "none", "scale": [1], "shift": [0]},
        {"kind": "unit", "scale": [1e999], "shift": [0]},
        {},
    ],
)
def test_preprocessing_that_is_none(folder, preprocessing):
    rewrite(folder, lambda values: values.update(preprocessing=preprocessing))
    assert "preprocessing" in refusal(folder)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (torch.rand(2, 1, 8, 8) * 255, "give values in"),
        (-torch.rand(2, 1, 8, 8), "give values in"),
        (torch.full((2, 1, 8, 8), torch.nan), "hold NaN"),
        (torch.rand(1, 8, 8), r"give \(N, 1, height, width\)"),
        (torch.rand(2, 3, 8, 8), r"give \(N, 1, height, width\)"),
    ],
)
def test_images_that_a_classifier_does_not_take(folder, images, told):
    with pytest.raises(InputError, match=told):
        conductance.load(folder)(images)
