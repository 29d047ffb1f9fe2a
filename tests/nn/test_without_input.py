"""A unit without leak and without input: its average is 0 by 0, and must be finite, with finite gradients."""

import copy
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance import functional, kernels
from conductance.nn import CWAConv1d, CWAConv2d, CWALinear, LateralLinear

KINDS = {
    "linear": (lambda **options: CWALinear(6, 5, **options), (3, 6)),
    "conv1d": (lambda **options: CWAConv1d(4, 5, 3, padding=1, **options), (3, 4, 7)),
    "conv2d": (lambda **options: CWAConv2d(4, 5, 3, padding=1, **options), (2, 4, 5, 5)),
    "lateral": (lambda **options: LateralLinear(6, 5, **options), (3, 6)),
}
TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
INPUTS = {
    "none": torch.zeros_like,
    "below normal": lambda p: torch.full_like(p, 1e-41),
    "one channel": lambda p: torch.zeros_like(p).index_fill_(1, torch.tensor([0]), 1.0),
    "any": lambda p: p,
}


@given(
    kind=st.sampled_from(sorted(KINDS)),
    types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=3),
    leak=st.sampled_from([0.0, 1e-38, 1e-6, 1.0]),
    form=st.sampled_from(["clamped", "exp", "softplus"]),
    activation=st.sampled_from(["relu", None, "full_range"]),
    option=st.sampled_from(["", "detached_denominator", "pooled_interneuron"]),
    closed=st.booleans(),
    given_input=st.sampled_from(sorted(INPUTS)),
)
def test_outputs_and_gradients_are_finite(kind, types, leak, form, activation, option, closed, given_input):
    """Also after a way through types of fewer bits, which round what stands for no leak to 0."""
    make, shape = KINDS[kind]
    options = {"nonnegative": form, "resting_conductance": leak, "activation": activation}
    options |= {option: True} if option and kind != "lateral" else {}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forms that will go
        layer = make(**options)
    if closed:
        for name, parameter in layer.named_parameters():
            if name.endswith("g"):
                torch.nn.init.constant_(parameter, 0.0 if form == "clamped" else -30.0)
    for dtype in types:
        layer = layer.to(dtype)
    p = INPUTS[given_input](torch.rand(shape)).to(types[-1]).requires_grad_()
    output = layer(p)
    assert output.isfinite().all()
    output.float().sum().backward()
    for gradient in (p.grad, *(parameter.grad for parameter in layer.parameters() if parameter.grad is not None)):
        assert not gradient.isnan().any()
        if types[-1] != torch.float16:  # beyond 65504 it has no numbers, and a scaler of gradients looks for that
            assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rectify", [False, True])
def test_every_kernel_is_finite_at_the_smallest_leak(dtype, rectify):
    least = functional.smallest_leak(dtype) / 2
    both = torch.full((4, 2 * 1024), least, dtype=dtype).requires_grad_()
    z = kernels.average(both, -1, rectify)
    assert z.isfinite().all()
    z.float().sum().backward()
    assert not both.grad.isnan().any()


def test_a_leak_that_is_there_is_left_as_it_is():
    layer = CWALinear(4, 3, resting_conductance=0.5, resting_potential=1.0)
    before = copy.deepcopy(layer.leak.pair)
    assert torch.equal(layer.double().float().leak.pair, before)
    layer.load_state_dict(CWALinear(4, 3, resting_conductance=0.25, resting_potential=-1.0).state_dict())
    assert torch.equal(layer.leak.pair, torch.tensor([[0.0], [0.25]]).expand(2, 3))


def test_a_network_saved_in_float16_has_no_leak_still():
    """Its state, read into a network of float32, would divide 0 by 0."""
    layer = CWALinear(4, 3, resting_conductance=0.0)
    rounded = {name: value.half() if value.is_floating_point() else value for name, value in layer.state_dict().items()}
    layer.load_state_dict(rounded)
    assert layer(torch.zeros(2, 4)).isfinite().all()
