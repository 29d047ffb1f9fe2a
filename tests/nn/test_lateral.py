"""Lateral inhibition: interneurons, driven by a layer's units, inhibit them slice by slice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance import freeze, init, nn
from conductance.errors import InputError
from conductance.models import ARCHITECTURES, create_model


def lateral(**options):
    torch.manual_seed(0)
    layer = nn.LateralLinear(6, 8, activation="relu", dtype=torch.float64, **options)
    return init.lognormal_(layer)


def test_it_is_the_rollout_of_its_formula():
    layer = lateral(slices=3, interneurons=0.5, strength=0.7, unit_valence=[1.0] * 4 + [-1.0] * 4)
    p = torch.rand(4, 6, dtype=torch.float64)
    E, I = layer.synaptic_conductances(p).chunk(2, -1)
    state = ((E - I) / (E + I)).relu()
    G, L = layer.interneurons.conductance, layer.feedback.conductance
    leak_E, leak_I = layer.interneurons.leak()
    for _ in range(3):
        to_E, to_I = state[:, :4] @ G[:, :4].T + leak_E, state[:, 4:] @ G[:, 4:].T + leak_I
        q = ((to_E - to_I) / (to_E + to_I)).relu()
        now = I + 0.7 * q @ L.T
        state = ((E - now) / (E + now)).relu()
    assert layer.interneurons.out_channels == 4
    torch.testing.assert_close(layer(p), state)


def test_the_same_at_every_position_of_an_image():
    torch.manual_seed(0)
    conv = init.lognormal_(nn.LateralConv2d(6, 8, 1, activation="relu", dtype=torch.float64))
    linear = nn.LateralLinear(6, 8, activation="relu", dtype=torch.float64)
    linear.load_state_dict({name: tensor.flatten(2).squeeze(-1) if tensor.ndim == 4 else tensor
                            for name, tensor in conv.state_dict().items()})  # fmt: skip
    p = torch.rand(2, 6, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(conv(p).movedim(1, -1), linear(p.movedim(1, -1)))


@pytest.mark.parametrize("change", [{"slices": 0}, {"silent": True}])
def test_without_slices_or_feedback_it_is_the_plain_layer(change):
    layer = lateral(slices=change.get("slices", 2))
    if "silent" in change:
        layer.feedback.set_conductance(torch.zeros(()))
    plain = nn.CWALinear(6, 8, activation="relu", dtype=torch.float64)
    plain.load_state_dict(layer.state_dict(), strict=False)
    p = torch.rand(4, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(p), plain(p))


@given(st.integers(0, 2**31), st.floats(0.01, 10))
def test_one_slice_never_opens_a_unit(seed, strength):
    layer = lateral(slices=1, strength=strength)
    p = torch.rand(3, 6, dtype=torch.float64, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))
    E, I = layer.synaptic_conductances(p).chunk(2, -1)
    without = ((E - I) / (E + I)).relu()
    assert bool((layer(p) <= without + 1e-12).all())
    assert bool((layer(p) >= 0).all())


def test_gradients_flow_through_all_slices():
    layer = lateral(slices=3)
    p = torch.rand(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, p)
    layer(p).sum().backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in layer.parameters())


def test_dales_law_holds_for_interneurons_too():
    layer = nn.LateralLinear(6, 8, activation="relu", nonnegative="clamped")
    optimizer = torch.optim.Adam(layer.parameters(), 5.0)
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.rand(16, 6)).square().sum().backward()
        optimizer.step()
    parts = [layer, layer.interneurons, layer.feedback]
    assert any(bool((part.g < 0).any()) for part in parts)
    assert all(bool((part.conductance >= 0).all()) for part in parts)


def test_frozen_it_gives_the_same():
    layer = lateral().eval()
    p = torch.rand(4, 6, dtype=torch.float64)
    torch.testing.assert_close(freeze(layer)(p), layer(p))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_networks_start_with_about_half_of_their_units_open(architecture):
    torch.manual_seed(0)
    model = create_model(architecture, "cwa_li", (1, 16, 16), 10, widths=(32, 32))
    images = torch.rand(64, 1, 16, 16)
    init.initialize(model, images)
    shares = []
    for module in model.modules():
        if isinstance(module, (nn.LateralLinear, nn.LateralConv2d)):
            module.register_forward_hook(lambda _, __, out: shares.append(float((out > 0).float().mean())))
    model(images)
    assert len(shares) >= 2
    assert all(0.2 < share < 0.7 for share in shares)


@pytest.mark.parametrize("options", [
    {"interneurons": 0}, {"slices": -1}, {"slices": 1.5}, {"strength": 0.0}, {"strength": float("nan")},
    {"average": False},
])  # fmt: skip
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        nn.LateralLinear(4, 2, **options)
