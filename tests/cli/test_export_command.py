"""`conductance export`, as a person meets it."""

import re
import subprocess
import sys

import pytest
import torch

import conductance
from conductance.data import load_dataset
from conductance.errors import DataError
from conductance.runs import load_run
from conductance.share import source

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
neuroml = pytest.importorskip("neuroml", reason="the extra export is not installed")
ignore_torch_internals = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def export_here(call, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call("export", *arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="the program has another name there")
def test_a_network_of_this_package_becomes_an_onnx_file_that_takes_images(tmp_path):
    """A process of its own, as it is typed."""
    ran = subprocess.run(
        [sys.executable, "-c", "from conductance.cli import main; main()", "export", "digits-cnn", "--out", "d.onnx"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "digits-cnn: d.onnx, inputs images, 1 output(s)" in ran.stdout
    assert "operators: Add, Clip, Conv, Div, Gemm" in ran.stdout
    [(same, largest)] = re.findall(
        r"on 100 test images: the same class for (\d+), largest difference ([\d.e+-]+)", ran.stdout
    )
    assert same == "100"
    assert float(largest) < 1e-5

    images = load_dataset("digits").test.pixels.float() / 255
    session = onnxruntime.InferenceSession(tmp_path / "d.onnx", providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = conductance.load("digits-cnn")(images)
    torch.testing.assert_close(torch.from_numpy(found), wanted, atol=1e-5, rtol=1e-5)
    assert "values in [0, 1]" in session.get_modelmeta().custom_metadata_map["conductance.input"]


@ignore_torch_internals
def test_potentials_on_mnist_are_those_of_double_precision(export_here, tmp_path):
    try:
        pixels = load_dataset("mnist", download=False).test.pixels[:200]
    except DataError:
        pytest.skip("MNIST is not here; $CONDUCTANCE_DATA says where it is")
    assert export_here("mnist-cnn", "--out", "m.onnx", "--internals")[0] == 0
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": (pixels.float() / 255).numpy()}), strict=True))
    classifier = conductance.load("mnist-cnn")
    inputs = classifier.preprocessing(pixels).double()
    exact = classifier.network.double()
    with torch.no_grad():
        assert (torch.from_numpy(found["output"]).argmax(1) == exact(inputs).argmax(1)).all()
    for seen in conductance.observe(exact, inputs):
        z = torch.from_numpy(found[f"{seen.name}.z"]).double()
        torch.testing.assert_close(z, seen.z, atol=1e-5, rtol=0)


@ignore_torch_internals
def test_a_run_becomes_a_program_of_torch_that_states_its_preprocessing(finished, export_here, tmp_path):
    status, out, err = export_here(
        finished / "affine_bn", "--out", "r.pt2", "--preprocessing", "stated", "--images", 20
    )
    assert (status, err) == (0, "")
    assert "on 20 test images: the same class for 20" in out
    assert "operators" not in out
    run = load_run(finished / "affine_bn")
    inputs = run.preprocessing(run.dataset.test.pixels[:7])
    [found] = torch.export.load(tmp_path / "r.pt2").module()(inputs)
    torch.testing.assert_close(found, run.network(inputs), atol=1e-4, rtol=1e-4)


def test_units_in_neuroml(finished, export_here, tmp_path):
    status, out, err = export_here(
        finished / "cwa", "--out", "u.nml", "--layer", "hidden.1", "--units", 0, 5, "--image", 3
    )
    assert (status, err) == (0, "")
    assert out == "tiny: u.nml LEMS_u.xml\n"
    assert {file.name for file in tmp_path.iterdir()} == {"u.nml", "LEMS_u.xml"}
    assert "layer: choose one of hidden.0, hidden.1" in export_here(finished / "cwa", "--out", "v.nml")[2]


def test_a_table_of_siemens(export_here, tmp_path):
    status, out, err = export_here("digits-fcn", "--out", "t.csv", "--g-max", "2e-5")
    assert (status, err) == (0, "")
    assert re.search(r"layer hidden\.0: \d+ units, 64 inputs each; 1 is [\d.e-]+ siemens", out)
    assert (
        (tmp_path / "t.csv")
        .read_text()
        .startswith("layer,unit,input,excitatory_siemens,inhibitory_siemens\nhidden.0,0,0,")
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere", "--out", "a.onnx"], "nowhere"),
        (["digits-fcn"], "missing --out: PATH the file"),
        (["digits-fcn", "--out", "a.txt"], r"out=a\.txt: a file of each format has its ending: \.onnx for onnx"),
        (["digits-fcn", "--out", "a.csv", "--format", "onnx"], r"a file of each format has its ending"),
        (["digits-fcn", "--out", "a.csv", "--format", "coreml"], "coreml"),
        (["digits-fcn", "--out", "a.csv", "--opset", "20"], "--opset: only for onnx, not for table"),
        (["digits-fcn", "--out", "a.onnx", "--g-max", "1"], "--g-max: only for table, not for onnx"),
        (["digits-fcn", "--out", "a.onnx", "--units", "1"], "--units: only for neuroml, not for onnx"),
        (["digits-fcn", "--out", "a.pt2", "--layer", "0"], "--layer: only for neuroml and table"),
        (["digits-fcn", "--out", "a.onnx", "--opset", "9"], "opset=9: choose one from 18"),
        (["digits-fcn", "--out", "a.onnx", "--images", "0"], "images=0: must be positive"),
        (["digits-fcn", "--out", "a.csv", "--g-max", "-1"], "g_max=-1: give the largest"),
        (["digits-fcn", "--out", "a.csv", "--layer", "hiden.0"], r"unknown layer 'hiden\.0'; did you mean 'hidden\.0'"),
        (["digits-fcn", "--out", "a.nml", "--image", "9999"], "image=9999: there are"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_status_2(arguments, complaint, export_here, tmp_path):
    status, out, err = export_here(*arguments)
    assert (status, out) == (2, "")
    assert re.match(f"error: .*{complaint}", err)
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@ignore_torch_internals
def test_a_saved_network_whose_data_are_elsewhere_is_held_against_random_images(export_here, monkeypatch):
    def missing(*_, **__):
        raise DataError("no data set here")

    monkeypatch.setattr(source, "load_dataset", missing)
    status, out, _ = export_here("digits-fcn", "--out", "a.pt2", "--images", 10)
    assert status == 0
    assert "on 10 random images, for its data set is not here" in out
