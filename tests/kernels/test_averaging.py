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
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("name", ["formula", "blocked"])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_gradients_the_numbers_are_the_same(shape, name, rectify):
    size, axis = SHAPES[shape]
    both = conductances(size)
    wanted, _ = run(name, both, axis, rectify)
    kept = both.clone()
    assert torch.equal(kernels.average(both, axis, rectify), wanted)
    with torch.no_grad():
        assert torch.equal(kernels.average(both.requires_grad_(), axis, rectify), wanted)
    assert torch.equal(both, kept)


@pytest.mark.usefixtures("any_average")
def test_blocks_keep_channels_last():
    both = conductances((4, 6, 5, 5), torch.channels_last)
    for tensor in run("blocked", both, -3, True):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("any_average")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_compiled_average_gives_the_numbers_of_the_formula():
    """C++ is compiled, which takes up to ten seconds the first time."""
    both = conductances((6, 8, 5, 5), torch.channels_last)
    torch.testing.assert_close(run("compiled", both, -3, True), run("formula", both, -3, True))


@pytest.mark.usefixtures("any_average")
def test_what_cannot_be_compiled_goes_on_without_and_says_so_once():
    def no_compiler(*_):
        raise RuntimeError("InvalidCxxCompiler: none found")

    forward, backward = module.Compiled(lambda x: x + 1), module.Compiled(lambda x: x + 2)
    forward.compiled = backward.compiled = no_compiler
    module._say_that_compiling_failed.cache_clear()
    with pytest.warns(UserWarning, match="could not be compiled .*C\\+\\+ compiler"):
        assert forward(1) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert forward(1) == 2
        assert backward(1) == 3


def test_what_is_wrong_with_the_arguments_does_not_end_compiling():
    compiled = module.Compiled(module.formula)
    compiled.compiled = code = lambda *arguments: module.formula(*arguments)
    with pytest.raises(IndexError):
        compiled(torch.rand(3, 4), 7, False, torch.float32)
    assert compiled.compiled is code


def test_an_unknown_average_is_refused():
    with pytest.raises(UnknownNameError, match="blokked"):
        kernels.use_average("blokked")
