"""Every kernel gives the numbers of the plain formula, forward and backward."""

import shutil
import warnings

import pytest
import torch

from conductance import kernels
from conductance.errors import UnknownNameError
from conductance.kernels import averaging as module

SHAPES = {  # (shape of E' and I' stacked, channel axis)
    "linear": ((700, 2 * 30), -1),
    "one sample": ((2 * 30,), -1),
    "convolution": ((9, 2 * 5, 7, 6), -3),
    "one image": ((2 * 5, 7, 6), -3),
    "sequences": ((4, 3, 2 * 6), -1),
    "empty batch": ((0, 2 * 5, 3, 3), -3),
}


@pytest.fixture
def any_average():
    """Restores the choice of the process."""
    yield
    kernels.use_average(None)


def conductances(shape, layout=torch.contiguous_format):
    both = 0.1 + torch.rand(shape)
    return both.to(memory_format=layout) if both.ndim == 4 else both


def run(name, both, axis, rectify):
    kernels.use_average(name)
    both = both.clone().requires_grad_()
    result = kernels.average(both, axis, rectify)
    torch.manual_seed(1)
    (gradient,) = torch.autograd.grad(result, both, torch.randn(result.shape))
    return result, gradient


@pytest.mark.usefixtures("any_average")
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_give_the_numbers_of_the_formula(shape, layout, rectify, monkeypatch):
    size, axis = SHAPES[shape]
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)  # several blocks, the last one shorter
    both = conductances(size, layout)
    torch.testing.assert_close(run("blocked", both, axis, rectify), run("formula", both, axis, rectify))


@pytest.mark.usefixtures("any_average")
def test_blocks_keep_channels_last():
    both = conductances((4, 6, 5, 5), torch.channels_last)
    for tensor in run("blocked", both, -3, True):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("any_average")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_compiled_average_gives_the_numbers_of_the_formula():
    both = conductances((6, 8, 5, 5), torch.channels_last)
    torch.testing.assert_close(run("compiled", both, -3, True), run("formula", both, -3, True))


@pytest.mark.usefixtures("any_average")
def test_what_cannot_be_compiled_goes_on_without_and_says_so_once():
    def no_compiler(*_):
        raise RuntimeError("InvalidCxxCompiler: none found")

    kernel = module._Compiled(lambda x: x + 1)
    kernel.compiled = no_compiler
    with pytest.warns(UserWarning, match="could not be compiled .*C\\+\\+ compiler"):
        assert kernel(1) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel(1) == 2


def test_an_unknown_average_is_refused():
    with pytest.raises(UnknownNameError, match="blokked"):
        kernels.use_average("blokked")
