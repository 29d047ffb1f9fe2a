"""What a layer says of itself, and what it refuses."""

import copy
import inspect
import pickle

import pytest
import torch

from conductance.errors import InputError, UnknownNameError
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv1d, CWAConv2d, CWAConv3d, CWALinear
from conductance.transform import freeze

FORMS = ["rectified", "softplus", "clamped"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_conductance_that_was_set_is_the_conductance_used(form, dtype):
    layer = CWALinear(50, 20, nonnegative=form, dtype=dtype)
    G = torch.exp(2 * torch.randn(20, 50, dtype=dtype))
    G[0, :10] = 0
    layer.set_conductance(G)
    torch.testing.assert_close(layer.conductance, G, rtol=1e-5, atol=1e-7)
    assert bool((layer.conductance >= 0).all())


def test_one_number_sets_every_synapse():
    layer = CWALinear(5, 2)
    layer.set_conductance(torch.tensor(0.25))
    assert layer.conductance.unique().tolist() == [0.25]


@pytest.mark.parametrize(
    ("G", "complaint"),
    [
        (torch.full((2, 4), -0.1), "not negative"),
        (torch.full((2, 4), float("nan")), "negative or NaN"),
        (torch.full((2, 4), float("inf")), "8 infinite"),
        (torch.ones(3, 4), r"shape \(3, 4\); this layer's is \(2, 4\)"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_conductance_is_refused_and_nothing_changes(G, complaint, form):
    layer = CWALinear(4, 2, nonnegative=form)
    before = layer.g.detach().clone()
    with pytest.raises(InputError, match=complaint):
        layer.set_conductance(G)
    assert torch.equal(layer.g, before)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (CWALinear(6, 4), (4, 6)),
        (CWALinear(6, 4, doubled_input=True), (4, 12)),
        (CWAConv1d(6, 4, 3), (4, 6, 3)),
        (CWAConv2d(6, 4, (3, 5), groups=2), (4, 3, 3, 5)),
        (CWAConv3d(6, 4, 2, doubled_input=True), (4, 12, 2, 2, 2)),
    ],
)
def test_conductances_have_one_row_per_unit_and_one_column_per_channel(layer, shape):
    assert layer.conductance.shape == shape
    assert layer.fan_in == torch.Size(shape[1:]).numel()
    torch.testing.assert_close(layer.resting_conductance, torch.full((4,), 0.01 * layer.fan_in))
    assert layer.resting_potential.tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("ours", "torchs"), [(CWAConv2d, torch.nn.Conv2d), (CWAConv1d, torch.nn.Conv1d), (AbsNormConv2d, torch.nn.Conv2d)]
)
def test_convolutions_take_torchs_arguments_in_torchs_order(ours, torchs):
    parameters = inspect.signature(ours).parameters.values()
    positional = [parameter.name for parameter in parameters if parameter.kind == parameter.POSITIONAL_OR_KEYWORD]
    assert positional == list(inspect.signature(torchs).parameters)[: len(positional)]
    assert positional[-1] == "padding_mode"
    assert not any(parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) for parameter in parameters)


@pytest.mark.parametrize("kind", [CWALinear, AbsNormLinear])
def test_linear_layers_have_torchs_names(kind):
    layer = kind(in_features=6, out_features=4)
    assert (layer.in_features, layer.out_features) == (6, 4)


@pytest.mark.parametrize("form", FORMS)
def test_a_learnt_leak_starts_as_told_and_can_be_learnt(form):
    layer = CWALinear(4, 3, resting_conductance=2.0, resting_potential=-0.4, learn_resting=True, nonnegative=form)
    torch.testing.assert_close(layer.resting_conductance, torch.full((3,), 2.0))
    torch.testing.assert_close(layer.resting_potential, torch.full((3,), -0.4))
    layer(torch.rand(5, 4)).sum().backward()
    assert layer.leak.pair.grad.abs().sum() > 0


def test_a_leak_that_was_learnt_away_still_divides():
    layer = CWALinear(4, 3, learn_resting=True, nonnegative="clamped")
    with torch.no_grad():
        layer.leak.pair.zero_()
    p = torch.zeros(2, 4, requires_grad=True)
    result = layer(p)
    result.sum().backward()
    assert result.isfinite().all()
    assert p.grad.isfinite().all()


def test_a_fixed_leak_is_no_parameter_but_is_saved():
    layer = CWALinear(4, 3, resting_potential=-0.4)
    assert [name for name, _ in layer.named_parameters()] == ["g"]
    assert set(layer.state_dict()) == {"g", "leak.pair", "_extra_state"}


@pytest.mark.parametrize("options", [{}, {"learn_resting": True}, {"valence": [1, -1, 0.5, -1]}])
def test_copies_pickles_and_state_dicts_give_the_same_layer(options):
    layer = CWALinear(4, 3, resting_potential=-0.2, **options)
    p = torch.rand(5, 4)
    fresh = CWALinear(4, 3, resting_potential=0.3, **options)
    fresh.load_state_dict(layer.state_dict())
    copied = copy.deepcopy(layer)
    pickled = pickle.loads(pickle.dumps(layer))
    for other in (fresh, copied, pickled):
        assert torch.equal(other(p), layer(p))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"activation": "tanh"}, "choose None"),
        ({"resting_conductance": -1.0}, "resting_conductance must be finite and not negative"),
        ({"resting_potential": 1.5}, r"resting_potential must lie in \[-1, 1\]"),
        ({"resting_conductance": torch.ones(7)}, "one for each of 3 units"),
    ],
)
@pytest.mark.parametrize("kind", [CWALinear, AbsNormLinear])
def test_what_makes_no_layer_is_refused(kind, options, complaint):
    with pytest.raises(InputError, match=complaint):
        kind(4, 3, **options)


def test_an_unknown_form_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'softplus'"):
        CWALinear(4, 3, nonnegative="softpluss")


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="in_channels=5 cannot be divided into groups=2"):
        CWAConv2d(5, 4, 3, groups=2)
    with pytest.raises(InputError, match="kernel_size"):
        CWAConv2d(4, 4, (3, 3, 3))


@pytest.mark.parametrize(("layer", "shape"), [
    (CWALinear(8, 4), (5, 4)),
    (CWALinear(4, 3, doubled_input=True), (5, 8)),
    (CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1]), (5, 9)),
    (CWALinear(6, 4, valence=torch.linspace(-1, 1, 6)), (5, 9)),
    (CWAConv2d(4, 6, 3, groups=2), (2, 7, 8, 8)),
    (CWAConv2d(4, 6, 3), (2, 3, 8, 8)),
])  # fmt: skip
def test_inputs_of_another_width_are_refused(layer, shape):
    frozen = freeze(layer)
    for module in (layer, frozen):
        with pytest.raises(InputError, match=rf"p has the shape .* must hold the {layer.in_channels} presynaptic"):
            module(torch.rand(shape))


def test_conductances_computed_from_another_parameter_are_not_set_in_vain():
    layer = CWALinear(4, 3)
    torch.nn.utils.parametrize.register_parametrization(layer, "g", torch.nn.Softplus())
    with pytest.raises(InputError, match="set them first, then parametrize"):
        layer.set_conductance(torch.ones(3, 4))


def test_a_leak_given_as_a_parameter_is_taken_as_a_number():
    layer = CWALinear(6, 4, resting_potential=torch.nn.Parameter(torch.full((4,), 0.3)))
    copy.deepcopy(layer)
    for _ in range(2):
        layer(torch.rand(3, 6)).sum().backward()
    torch.testing.assert_close(layer.resting_potential, torch.full((4,), 0.3))
