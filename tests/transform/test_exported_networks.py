"""Exported networks run elsewhere as they do here."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import RandomNetwork
from torch import nn

import conductance
from conductance.data import load_dataset
from conductance.errors import ConductanceError, InputError
from conductance.models import create_model
from conductance.nn import CWARNN, CWAConv2d, CWALinear
from conductance.runs import load_run
from conductance.transform import export_onnx, export_program
from studies.converted.networks import NETWORKS

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

OF_THE_EQUATION = {"Conv", "Gemm", "Split", "Add", "Sub", "Div", "Relu"}
AROUND_IT = {"Reshape", "ReduceMean", "Mul", "GlobalAveragePool"}
ignore_torch_internals = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def run(file, *inputs):
    """What onnxruntime makes of them, by name."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    given = {each.name: value.numpy() for each, value in zip(session.get_inputs(), inputs, strict=True)}
    return dict(zip(names, map(torch.from_numpy, session.run(None, given)), strict=True))


class OfPixels(nn.Module):
    def __init__(self, preprocessing):
        super().__init__()
        self.preprocessing = preprocessing

    def forward(self, images):
        return self.preprocessing.of_values(images * 255)


@ignore_torch_internals
def test_a_trained_network_on_real_images(finished, tmp_path):
    trained = load_run(finished / "cwa")
    pixels = trained.dataset.test.pixels
    images = pixels.float() / 255
    file = tmp_path / "network.onnx"
    exported = export_onnx(
        trained.network,
        images[:50],
        file,
        preprocessing=OfPixels(trained.preprocessing),
        internals=True,
        metadata={"classes": list("0123456789")},
    )
    assert set(exported.operators) <= OF_THE_EQUATION | AROUND_IT | {"Clip"}
    assert exported.difference.samples == exported.difference.same_class == 50
    assert max(exported.difference.largest.values()) < 1e-5

    found = run(file, images)
    observed = conductance.observe(trained.network, trained.preprocessing(pixels))
    assert tuple(found) == exported.outputs
    assert len(found) == 1 + 3 * len(observed)
    with torch.no_grad():
        logits = trained.network(trained.preprocessing(pixels))
    assert torch.equal(found["output"].argmax(1), logits.argmax(1))
    for seen in observed:
        torch.testing.assert_close(found[f"{seen.name}.z"], seen.z, atol=1e-5, rtol=0)
        torch.testing.assert_close(found[f"{seen.name}.E"], seen.excitation, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found[f"{seen.name}.I"], seen.inhibition, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(run(file, images[:1])["output"], found["output"][:1], atol=1e-5, rtol=1e-5)

    said = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert said["conductance.version"] == conductance.__version__
    assert said["conductance.layers"] == '["hidden.0", "hidden.1"]'
    assert said["conductance.classes"].count('"') == 20
    assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()


@ignore_torch_internals
@pytest.mark.parametrize(("architecture", "opset"), [("fcn", 20), ("resnet18", 18)])
def test_networks_become_the_operators_of_the_equation(architecture, opset, tmp_path):
    model = create_model(architecture, "cwa", (3, 8, 8), 4, widths=(4, 6))
    images = torch.rand(5, 3, 8, 8)
    exported = export_onnx(model, images, tmp_path / "network.onnx", opset=opset)
    assert OF_THE_EQUATION - {"Conv"} <= set(exported.operators) <= OF_THE_EQUATION | AROUND_IT
    [version] = [each.version for each in onnx.load(exported.file).opset_import if each.domain == ""]
    assert version == opset
    with torch.no_grad():
        torch.testing.assert_close(run(exported.file, images)["output"], model.eval()(images), atol=1e-5, rtol=1e-5)


@ignore_torch_internals
def test_a_converted_network_of_others_gives_its_answers_their_names(tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed; its networks are not built")
    torch.manual_seed(0)
    images = load_dataset("digits").test.pixels[:40].float() / 255
    model = conductance.convert(NETWORKS["resnet"](), images).model.eval()
    inner = nn.Sequential(model[0])(images)  # what the library's own network is given
    network = model[1].network
    exported = export_onnx(network, {"pixel_values": inner}, tmp_path / "network.onnx")
    assert exported.inputs == ("pixel_values",)
    assert exported.outputs == ("logits",)
    with torch.no_grad():
        logits = network(pixel_values=inner).logits
    found = run(exported.file, inner)["logits"]
    torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(found.argmax(1), logits.argmax(1))


class TwoEyes(nn.Module):
    """Two inputs and nested outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.joined = CWAConv2d(1, 4, 3), CWAConv2d(1, 4, 3), CWALinear(8, 3)

    def forward(self, left, right, scale=None):
        both = torch.cat([self.left(left).mean((2, 3)), self.right(right).mean((2, 3))], 1)
        return {"classes": self.joined(both), "seen": (both, scale)}


@ignore_torch_internals
def test_several_inputs_and_nested_outputs_have_names(tmp_path):
    model, left, right = TwoEyes().eval(), torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)
    exported = export_onnx(model, (left.numpy(), right), tmp_path / "eyes.onnx", internals=True)
    assert exported.inputs == ("left", "right")
    assert exported.outputs[:2] == ("classes", "seen.0")
    assert exported.outputs[2:5] == ("left.E", "left.I", "left.z")
    more = [torch.rand(4, 1, 6, 6) for _ in range(2)]  # it was given a single sample
    with torch.no_grad():
        torch.testing.assert_close(run(exported.file, *more)["classes"], model(*more)["classes"], atol=1e-6, rtol=1e-5)


WIRED = [
    [("pooled", 0, 1, 1), ("norm", 0, 1, 1), ("relu", 0, 1, 1), ("sum", 0, 1, 3), ("rectifying", 0, 1, 1)],
    [("affine", 0, 1, 1), ("absnorm", 0, 1, 1), ("added in place", 0, 1, 2), ("lateral", 0, 1, 1)],
]


@ignore_torch_internals
@pytest.mark.parametrize(("steps", "images"), [(WIRED[0], True), (WIRED[1], False)], ids=["images", "vectors"])
def test_a_program_does_the_same_for_any_number_of_samples(steps, images, tmp_path):
    model, shape = RandomNetwork(steps, images, 2).eval(), (4, 5, 5) if images else (4,)
    exported = export_program(model, torch.rand(3, *shape), tmp_path / "network.pt2", internals=True)
    p = torch.rand(7, *shape)
    with torch.no_grad():
        found, wanted = torch.export.load(exported.file).module()(p), model(p)
    assert len(found) == len(exported.outputs) >= 7
    torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=1e-5)


class LastStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = CWARNN(4, 6, batch_first=True)

    def forward(self, sequence):
        return self.recurrent(sequence)[0][:, -1]


@ignore_torch_internals
def test_a_recurrent_network_takes_any_number_of_sequences(tmp_path):
    model = LastStep().eval()
    exported = export_onnx(model, torch.rand(3, 5, 4), tmp_path / "network.onnx", internals=True)
    sequences = torch.rand(7, 5, 4)
    with torch.no_grad():
        found = run(exported.file, sequences)["output"]
        torch.testing.assert_close(found, model(sequences), atol=1e-5, rtol=1e-5)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = CWALinear(4, 4)

    def forward(self, p):
        return self.layer(p) if p.sum() > 1 else p


@ignore_torch_internals
@pytest.mark.parametrize(
    ("model", "example", "options", "said"),
    [
        (CWALinear(4, 4), torch.rand(2, 4), {"opset": 17}, r"opset=17: choose one from 18"),
        (nn.Sequential(CWALinear(4, 4)), torch.rand(0, 4), {}, "no samples"),
        (nn.Sequential(CWALinear(4, 4)), (torch.rand(2, 4), torch.rand(2, 4)), {}, "does not take the example"),
        (nn.Sequential(CWALinear(4, 4)), "image.png", {}, "a batch holds a str"),
        (nn.Sequential(CWALinear(4, 4)), torch.full((2, 4), float("nan")), {}, "the example holds NaN"),
        (Branches(), torch.rand(3, 4), {}, "Branches cannot be exported"),
        (nn.Sequential(CWALinear(4, 4).bfloat16()), torch.rand(3, 4).bfloat16(), {}, r"give model\.float\(\)"),
        (nn.Linear(4, 4), torch.rand(3, 4), {"internals": True}, "has no layer with E'"),
        (nn.Sequential(CWALinear(4, 4)), torch.rand(3, 4), {"tolerance": -1.0}, "the exported network differs"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_writes_nothing(model, example, options, said, tmp_path):
    with pytest.raises(InputError, match=said) as caught:
        export_onnx(model, example, tmp_path / "network.onnx", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_runtime_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ConductanceError, match=r"onnxruntime is needed .*conductance\[export\]"):
        export_onnx(CWALinear(4, 4), torch.rand(2, 4), tmp_path / "network.onnx")


@ignore_torch_internals
def test_the_model_stays_as_it_was(tmp_path):
    model = nn.Sequential(CWALinear(4, 4, activation=None), nn.BatchNorm1d(4), nn.ReLU())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exported = export_program(model, torch.rand(3, 4), tmp_path / "network.pt2", internals=True)
    assert exported.outputs == ("output", "0.E", "0.I", "0.z")
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert np.isfinite(list(exported.difference.largest.values())).all()


@pytest.fixture(scope="module")
def residual_network_of_others():
    """A small converted network of `transformers`, its images, and a function that compiles it in one piece."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed; its networks are not built"
    )
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=10
    )
    images = torch.rand(4, 1, 16, 16)
    return conductance.convert(transformers.ResNetForImageClassification(config), images).model, images


@ignore_torch_internals
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_converted_residual_network_of_others_compiles_in_one_piece(residual_network_of_others, backend):
    """With "inductor" C++ is compiled, which takes up to a minute."""
    if backend == "inductor" and shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("needs a C++ compiler")
    model, images = residual_network_of_others
    torch._dynamo.reset()
    compiled = torch.compile(model.train(backend == "aot_eager"), fullgraph=True, backend=backend)
    found, wanted = compiled(images).logits, model(images).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    if backend == "aot_eager":
        parameters = list(model.parameters())
        slopes = [torch.autograd.grad(each.square().sum(), parameters) for each in (found, wanted)]
        torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-3)
