"""The transforms of ``torch.func``, and gradients in batches, give what a loop gives: in float32 and in autocast."""

from functools import partial

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

from conductance.kernels import native
from conductance.models import create_model
from conductance.nn import CWARNN, AbsNormConv2d, CWAConv1d, CWAConv2d, CWAConv3d, CWALinear

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own

MODULES = {  # how it is made, the shape of three inputs
    "linear": (lambda: CWALinear(6, 4), (3, 6)),
    "linear, batch": (lambda: CWALinear(6, 4, activation=None), (3, 2, 6)),
    "linear, doubled": (lambda: CWALinear(6, 4, doubled_input=True, learn_resting=True), (3, 2, 6)),
    "linear, many valences": (lambda: CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1]), (3, 2, 6)),
    "linear, pooled": (lambda: CWALinear(6, 4, pooled_interneuron=True), (3, 2, 6)),
    "linear, nearly equal": (lambda: CWALinear(6, 4, nonnegative="rectified"), (3, 2, 6)),
    "conv1d": (lambda: CWAConv1d(4, 6, 3), (3, 2, 4, 5)),
    "conv2d": (lambda: CWAConv2d(4, 6, 3, 2, 1, learn_resting=True), (3, 2, 4, 5, 5)),
    "conv2d, one image": (lambda: CWAConv2d(4, 6, 3), (3, 4, 4, 4)),
    "conv2d, one position": (lambda: CWAConv2d(4, 6, 3), (3, 2, 4, 3, 3)),
    "conv2d, doubled": (lambda: CWAConv2d(3, 6, 3, doubled_input=True), (3, 2, 3, 4, 4)),
    "conv2d, groups": (lambda: CWAConv2d(4, 6, 3, groups=2), (3, 2, 4, 4, 4)),
    "conv2d, pooled": (lambda: CWAConv2d(4, 6, 3, pooled_interneuron=True, learn_gate=True), (3, 2, 4, 4, 4)),
    "conv2d, nearly equal": (lambda: CWAConv2d(4, 6, 3, nonnegative="rectified"), (3, 2, 4, 4, 4)),
    "conv3d": (lambda: CWAConv3d(2, 4, 2), (3, 2, 2, 3, 3, 3)),
    "signed": (lambda: AbsNormConv2d(4, 6, 3), (3, 2, 4, 4, 4)),
    "recurrent": (lambda: CWARNN(6, 4), (3, 4, 2, 6)),
    "residual": (lambda: create_model("resnet18", "cwa", (3, 4, 4), 4, widths=(4,)), (3, 2, 3, 4, 4)),
}
PRECISIONS = {"float32": 1e-4, "autocast": 0.05}  # how far apart results may be, of the largest


def response(module, x, parameters=None):
    result = module(x) if parameters is None else functional_call(module, parameters, (x,))
    return (result[0] if isinstance(result, tuple) else result).float()


def loss(module, parameters, x):
    return response(module, x, parameters).square().sum()


def parameters_of(module):
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def over_inputs(module, xs):
    run = partial(response, module)
    return vmap(run)(xs), torch.stack([run(x) for x in xs])


def over_parameters(module, xs):
    scales, own = (1.0, 0.8), parameters_of(module)
    several = {name: torch.stack([scale * value for scale in scales]) for name, value in own.items()}
    run = lambda parameters: response(module, xs[0], parameters)  # noqa: E731
    each = [run({name: scale * value for name, value in own.items()}) for scale in scales]
    return vmap(run)(several), torch.stack(each)


def gradients_of_samples(module, xs):
    own, names = parameters_of(module), list(parameters_of(module))
    found = vmap(grad(partial(loss, module)), (None, 0))(own, xs)
    leaves = [own[name].requires_grad_() for name in names]
    each = [torch.autograd.grad(loss(module, own, x), leaves) for x in xs]
    return tuple(found[name] for name in names), tuple(map(torch.stack, zip(*each, strict=True)))


def jacobians(module, xs):
    run = partial(response, module)
    return vmap(jacrev(run))(xs), torch.stack([jacobian(run, x) for x in xs])


def derivatives_forward(module, xs):
    run = partial(response, module)
    return jacfwd(run)(xs[0]), jacobian(run, xs[0])


def gradients_in_batches(module, xs):
    run = partial(response, module)
    return jacobian(run, xs[0], vectorize=True), jacobian(run, xs[0])


def gradient_of_a_transform(module, xs):
    leaves = list(module.parameters())
    return tuple(torch.autograd.grad(result.square().sum(), leaves) for result in over_inputs(module, xs))


TRANSFORMS = (
    over_inputs,
    over_parameters,
    gradients_of_samples,
    jacobians,
    derivatives_forward,
    gradients_in_batches,
    gradient_of_a_transform,
)


@pytest.fixture
def small_is_large(monkeypatch):
    """So that the loop takes the kernels of large layers."""
    monkeypatch.setattr(native, "LEAST", 1)


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODULES)
def test_transforms_give_what_a_loop_gives(name, precision):
    build, shape = MODULES[name]
    module, xs = build(), torch.rand(shape)
    for transform in TRANSFORMS:
        with torch.autocast(xs.device.type, torch.bfloat16, enabled=precision == "autocast"):
            found, wanted = transform(module, xs)
        pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
        for got, want in pairs:
            assert got.shape == want.shape, transform.__name__
            assert (got - want).norm() <= PRECISIONS[precision] * want.norm() + 1e-9, transform.__name__
