"""Code that was written for torch's layers reads conductance layers, or is told why not; it is never silently wrong."""

import copy
import io

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, spectral_norm

from conductance.errors import InputError
from conductance.nn import CWAConv1d, CWAConv2d, CWALinear, ScaledInput
from conductance.transform import freeze

LAYERS = {
    "linear": lambda: CWALinear(6, 4),
    "convolution": lambda: CWAConv2d(6, 4, 3),
    "scaled": lambda: ScaledInput(CWALinear(6, 4), 2.0),
    "frozen": lambda: freeze(nn.Sequential(CWALinear(6, 4)))[0],
}
layers = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@layers
def test_what_others_read_of_a_weight_is_there(make):
    layer = make()
    weight = layer.weight
    assert torch.equal(weight, layer.conductance)
    assert (weight.dtype, weight.device.type, weight.shape[0], weight.ndim) == (torch.float32, "cpu", 4, weight.ndim)
    assert isinstance(weight, torch.Tensor)
    assert layer.bias is None
    assert type(weight.abs().mean()) is torch.Tensor
    copied = copy.deepcopy(weight.detach())
    file = io.BytesIO()
    torch.save(copied, file)
    file.seek(0)
    assert type(torch.load(file, weights_only=True)) is torch.Tensor


def test_the_weight_is_differentiated_like_the_conductance():
    layer = CWALinear(6, 4)
    (layer.weight.square().sum()).backward()
    torch.testing.assert_close(layer.g.grad, 2 * layer.conductance.detach())


WRITERS = {
    "normal_": lambda w: w.data.normal_(),
    "init.normal_": nn.init.normal_,
    "init.uniform_": nn.init.uniform_,
    "init.trunc_normal_": nn.init.trunc_normal_,
    "init.xavier_uniform_": nn.init.xavier_uniform_,
    "init.kaiming_normal_": nn.init.kaiming_normal_,
    "init.orthogonal_": nn.init.orthogonal_,
    "init.constant_": lambda w: nn.init.constant_(w, 0.5),
    "init.zeros_": nn.init.zeros_,
    "copy_": lambda w: w.data.copy_(torch.ones_like(w)),
    "a row": lambda w: w.data[0].zero_(),
    "transposed": lambda w: w.detach().transpose(0, 1).mul_(2),
    "index": lambda w: w.__setitem__(0, 0.0),
    "data": lambda w: setattr(w, "data", torch.zeros(3)),
    "requires_grad": lambda w: setattr(w, "requires_grad", False),
    "requires_grad_": lambda w: w.requires_grad_(False),
    "clamp_": lambda w: w.clamp_(0, 1),
    "*=": lambda w: w.__imul__(2),
}


@layers
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_writing_to_a_weight_is_refused_and_changes_nothing(make, write):
    layer = make()
    before = layer.conductance.clone()
    with torch.no_grad(), pytest.raises(InputError, match=r"set_conductance"):
        write(layer.weight)
    assert torch.equal(layer.conductance, before)


@pytest.mark.parametrize(
    ("layer", "compute"),
    [
        (CWALinear(6, 4), lambda w: F.linear(torch.rand(2, 6), w)),
        (CWALinear(6, 4), lambda w: F.linear(input=torch.rand(2, 6), weight=w, bias=None)),
        (CWAConv1d(6, 4, 3), lambda w: F.conv1d(torch.rand(2, 6, 5), w)),
        (CWAConv2d(6, 4, 3), lambda w: F.conv2d(torch.rand(2, 6, 5, 5), w)),
    ],
)
def test_a_weight_is_no_affine_one(layer, compute):
    with pytest.raises(InputError, match=r"Call the layer"):
        compute(layer.weight)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("with_gradients", [False, True])
def test_attention_with_an_output_projection_that_averages_is_refused(training, with_gradients):
    attention = nn.MultiheadAttention(8, 2, batch_first=True).train(training)
    attention.out_proj = CWALinear(8, 8)
    x = torch.rand(2, 3, 8)
    with torch.set_grad_enabled(with_gradients), pytest.raises(InputError, match=r"keep a torch\.nn\.Linear there"):
        attention(x, x, x)


@given(st.integers(1, 3), st.booleans(), st.sampled_from(["relu", "gelu"]), st.integers(0, 3))
def test_an_encoder_gives_the_same_on_torchs_fast_path_as_without_it(which, norm_first, activation, padded):
    torch.manual_seed(padded)
    block = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True, norm_first=norm_first)
    if which & 1:
        block.linear1 = ScaledInput(CWALinear(8, 12))
    if which & 2:
        block.linear2 = ScaledInput(CWALinear(12, 8))
    encoder = nn.TransformerEncoder(block, 2, enable_nested_tensor=not norm_first).eval()
    x = torch.rand(3, 5, 8)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 5 - padded :] = True
    with torch.no_grad():
        found = encoder(x, src_key_padding_mask=padding)
    wanted = encoder(x, src_key_padding_mask=padding)  # gradients are wanted, so torch calls the layers
    torch.testing.assert_close(found[~padding], wanted[~padding], atol=1e-5, rtol=1e-5)


def test_a_decoder_layer_runs_in_evaluation_mode():
    decoder = nn.TransformerDecoderLayer(8, 2, 12, batch_first=True)
    decoder.linear1 = ScaledInput(CWALinear(8, 12))
    x = torch.rand(2, 3, 8)
    with torch.no_grad():
        assert decoder.eval()(x, x).isfinite().all()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "change",
    [
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: spectral_norm(layer),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
        lambda layer: setattr(layer, "weight", nn.Parameter(torch.ones(4, 6))),
        lambda layer: setattr(layer, "bias", nn.Parameter(torch.ones(4))),
    ],
)
def test_utilities_that_would_replace_the_weight_fail_and_leave_the_layer_as_it_was(change):
    layer = CWALinear(6, 4)
    before, names = layer.conductance.clone(), [name for name, _ in layer.named_parameters()]
    with pytest.raises((InputError, KeyError, ValueError)):
        change(layer)
    assert torch.equal(layer.conductance, before)
    assert [name for name, _ in layer.named_parameters()] == names


def test_pruning_the_parameter_itself_works():
    layer = CWALinear(6, 4)
    prune.l1_unstructured(layer, "g", 0.5)
    assert int((layer.conductance == 0).sum()) == 12
    with pytest.raises(InputError, match=r"give name='g'"):
        layer.register_parameter("weight_orig", nn.Parameter(torch.ones(4, 6)))


class AsksTheLayer(nn.Module):
    """As code of others does, which casts to a layer's type."""

    def __init__(self):
        super().__init__()
        self.layer = CWALinear(6, 4)

    def forward(self, p):
        return self.layer(p.to(self.layer.weight.dtype).to(self.layer.weight.device))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_code_that_asks_for_a_weights_type_is_compiled_exported_and_transformed():
    model, p = AsksTheLayer().eval(), torch.rand(2, 6)
    wanted = model(p)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(p), wanted)
    for strict in (False, True):
        torch.testing.assert_close(torch.export.export(model, (p,), strict=strict).module()(p), wanted)
    torch.testing.assert_close(torch.vmap(model)(p), wanted)
    parameters = dict(model.named_parameters())
    slopes = torch.func.grad(lambda values: torch.func.functional_call(model, values, (p,)).sum())(parameters)
    wanted.sum().backward()
    torch.testing.assert_close(slopes["layer.g"], model.layer.g.grad)


def test_initializers_of_transformers_leave_converted_layers_as_they_are():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import conductance

    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=8, patch_size=4
    )
    images = torch.rand(4, 3, 8, 8)
    model = conductance.convert(transformers.ViTForImageClassification(config), images).model
    before = {name: value.clone() for name, value in model.named_parameters() if name.endswith(".g")}
    assert before
    model.init_weights()
    model.apply(model._init_weights)
    after = dict(model.named_parameters())
    assert all(torch.equal(after[name], value) for name, value in before.items())
