"""State dicts say what their parameters mean."""

import io
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear

OPTIONS = {
    "nonnegative": ["clamped", "rectified", "softplus"],
    "doubled_input": [False, True],
    "learn_resting": [False, True],
    "excitatory_share": [None, 0.75],
}


@st.composite
def options(draw):
    chosen = {name: draw(st.sampled_from(values)) for name, values in OPTIONS.items()}
    if chosen["doubled_input"]:
        chosen["excitatory_share"] = None
    return chosen


@given(options(), options())
def test_a_layer_takes_the_parameters_of_its_like_alone(saved, here):
    source, target = CWALinear(8, 3, **saved), CWALinear(8, 3, **here)
    before = target.conductance.detach().clone()
    if saved == here:
        target.load_state_dict(source.state_dict())
        p = torch.rand(5, 8)
        assert torch.equal(target(p), source(p))
    else:
        with pytest.raises(RuntimeError, match=r"differs \(saved: .*; here: .*\)"):
            target.load_state_dict(source.state_dict())
        assert torch.equal(target.conductance, before)


def test_the_message_names_the_layer_what_differs_and_the_remedy():
    source = torch.nn.Sequential(CWALinear(4, 3), CWALinear(3, 3, nonnegative="softplus"))
    target = torch.nn.Sequential(CWALinear(4, 3), CWALinear(3, 3))
    with pytest.raises(RuntimeError, match=r"1: the form .* \(saved: softplus; here: clamped\); make the layer"):
        target.load_state_dict(source.state_dict())
    signed = AbsNormLinear(4, 3)
    with pytest.raises(RuntimeError, match="the kind of layer differs"):
        signed.load_state_dict(CWALinear(4, 3).state_dict(), strict=False)


def test_values_that_order_alone_tells_apart_differ():
    one, other = CWALinear(4, 2, valence=[1, -1, 1, -1]), CWALinear(4, 2)
    with pytest.raises(RuntimeError, match="the valences of its presynaptic channels"):
        other.load_state_dict(one.state_dict())


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_every_file_format_holds_it(kind):
    model = torch.nn.Sequential(CWAConv2d(1, 4, 3), torch.nn.Flatten(), CWALinear(16, 3, learn_resting=True))
    if kind == "torch":
        torch.save(model.state_dict(), file := io.BytesIO())
        file.seek(0)
        state = torch.load(file, weights_only=True)
    else:
        safetensors = pytest.importorskip("safetensors.torch")
        state = safetensors.load(safetensors.save(model.state_dict()))
    other = torch.nn.Sequential(CWAConv2d(1, 4, 3), torch.nn.Flatten(), CWALinear(16, 3, learn_resting=True))
    other.load_state_dict(state)
    assert torch.equal(other(x := torch.rand(2, 1, 4, 4)), model(x))


def without_labels(layer):
    return {name: tensor for name, tensor in layer.state_dict().items() if not name.endswith("_extra_state")}


def test_a_file_of_the_first_version_loads_with_a_warning():
    old, new = CWALinear(4, 3), CWALinear(4, 3)
    with pytest.warns(UserWarning, match=r"version 0\.1 does not say what its parameters mean"):
        new.load_state_dict(without_labels(old))
    assert torch.equal(new.g, old.g)


def test_a_file_of_the_first_version_that_must_be_of_another_form_is_refused():
    saved = without_labels(CWALinear(4, 3, nonnegative="rectified"))
    layer = CWALinear(4, 3)
    with pytest.raises(RuntimeError, match="negative values and does not say what they mean"):
        layer.load_state_dict(saved)


def test_an_unreadable_description_is_one_line():
    layer = CWALinear(4, 3)
    state = layer.state_dict()
    for damage in (torch.zeros(3, dtype=torch.uint8), torch.tensor(list(b'{"format": 99}'), dtype=torch.uint8)):
        with pytest.raises(RuntimeError, match="cannot be read"):
            layer.load_state_dict({**state, "_extra_state": damage})


@given(st.permutations([1.0, -1.0] * 6))
def test_averages_over_buffers_leave_the_order_of_channels_alone(valence):
    layer = CWALinear(12, 3, valence=valence)
    averaged = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    p = torch.rand(4, 12)
    for _ in range(5):
        averaged.update_parameters(layer)
    torch.testing.assert_close(averaged(p), layer(p))
    assert torch.equal(averaged.module.valence, layer.valence)


def test_valences_are_neither_parameters_nor_buffers_and_follow_the_layer():
    layer = CWALinear(4, 3, valence=[1, -1, 0.5, -1])
    assert {name for name, _ in layer.named_buffers()} == {"leak.pair"}
    assert layer.double().valence.dtype == torch.float64
    emptied = CWALinear(4, 3, valence=[1, -1, 0.5, -1], device="meta").to_empty(device=torch.get_default_device())
    emptied.reset_parameters()
    assert emptied.valence.tolist() == [1, -1, 0.5, -1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        emptied(torch.rand(2, 4))
