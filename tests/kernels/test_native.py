"""The compiled C++ gives the numbers of the formula, and is missed by nobody where it cannot be built."""

import multiprocessing
import os
import shutil
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import SplitSums, averaging, native

needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler"
)


@pytest.fixture
def anew():
    """The library is looked for anew, before and after."""
    native.library.cache_clear()
    yield
    native.library.cache_clear()
    kernels.use_average(None)


@st.composite
def sums(draw):
    """E' and I' of any shape, type and layout, whole or in parts, and the axis of their channels."""
    rows, units, positions = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.sampled_from([(), (3,), (2, 4)]))
    seed, in_parts = draw(st.integers(0, 2**16)), draw(st.sampled_from([0, 0, 1, 2]))
    types = [torch.float32, torch.bfloat16] if in_parts else [torch.float32, torch.float64]
    dtype, last = draw(st.sampled_from(types)), draw(st.booleans())
    generator = torch.Generator().manual_seed(seed)

    def room(*shape):
        values = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return values.to(memory_format=torch.channels_last) if last and len(shape) == 4 else values

    axis = -1 - len(positions)
    if not in_parts:
        return (0.1 + room(rows, 2 * units, *positions)).to(dtype).requires_grad_(), axis
    wide = torch.float32 if dtype == torch.bfloat16 else torch.float64
    parts = room(rows, 2 * units, *positions).to(dtype), 9 + room(rows, in_parts, *positions).to(wide)
    mean, leak = 0.9 + room(2 * units).to(wide), room(2 * units).float()
    return SplitSums(*(part.requires_grad_() for part in parts), mean, leak.requires_grad_()), axis


def run(name, given, axis, rectify):
    kernels.use_average(name)
    leaves = [given] if isinstance(given, torch.Tensor) else [given.rest, given.shared, given.leak]
    result = kernels.average(given, axis, rectify)
    generator = torch.Generator().manual_seed(1)
    slope = torch.randn(result.shape, generator=generator).to(result.dtype)
    with torch.no_grad():
        torch.testing.assert_close(kernels.average(given, axis, rectify), result, rtol=0, atol=0, equal_nan=True)
    return result, *torch.autograd.grad(result, leaves, slope)


@needs_a_compiler
@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=60)
@given(sums(), st.booleans())
def test_numbers_and_gradients_are_those_of_the_formula(example, rectify):
    given, axis = example
    assert native.library() is not None
    rounded = (given if isinstance(given, torch.Tensor) else given.rest).dtype == torch.bfloat16
    tolerance = {"rtol": 0.02, "atol": 0.02} if rounded else {"rtol": 1e-4, "atol": 1e-5}
    for found, wanted in zip(run("native", given, axis, rectify), run("formula", given, axis, rectify), strict=True):
        torch.testing.assert_close(found, wanted, **tolerance)


@needs_a_compiler
@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=60)
@given(sums().filter(lambda example: isinstance(example[0], torch.Tensor)), st.booleans())
def test_a_pooled_interneuron_acts_in_the_same_pass(example, rectify):
    both, axis = example
    exact = both.detach().double().requires_grad_()
    wanted = kernels.pooling.formula(averaging.formula(exact, axis, False, exact.dtype)[0], axis, rectify, exact.dtype)
    kernels.use_average("native")
    found = kernels.pooled_average(both, axis, rectify)
    assert found.dtype == both.dtype
    with torch.no_grad():
        assert torch.equal(kernels.pooled_average(both, axis, rectify), found)
    slope = torch.randn(found.shape).to(both.dtype)
    if rectify:  # rounding decides which units are just open
        slope = slope * ((wanted > 0) == (found > 0))
    gradients = torch.autograd.grad(found, both, slope) + torch.autograd.grad(wanted, exact, slope.double())
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(found.double(), wanted, **tolerance)
    torch.testing.assert_close(gradients[0].double(), gradients[1], **tolerance)


@needs_a_compiler
@pytest.mark.usefixtures("any_average")
@pytest.mark.parametrize("rectify", [False, True])
def test_a_pooled_average_can_be_differentiated_twice(rectify):
    kernels.use_average("native")
    both = (0.1 + torch.rand(2, 6, 2, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda both: kernels.pooled_average(both, -3, rectify), both)
    assert torch.autograd.gradgradcheck(lambda both: kernels.pooled_average(both, -3, rectify), both)


@needs_a_compiler
@pytest.mark.usefixtures("any_average")
def test_what_is_not_a_number_stays_so():
    both = torch.tensor([[float("nan"), 1.0, 1.0, 2.0]], requires_grad=True)
    result, gradient = run("native", both, -1, True)
    assert result.isnan().tolist() == [[True, False]]
    assert gradient.isnan().tolist() == [[True, False, True, False]]


@needs_a_compiler
@pytest.mark.usefixtures("any_average")
def test_one_thread_and_several_give_the_same():
    both, threads = 0.1 + torch.rand(600, 2 * 300), torch.get_num_threads()
    kernels.use_average("native")
    try:
        torch.set_num_threads(1)
        alone = kernels.average(both, -1, True)
        torch.set_num_threads(3)
        assert torch.equal(kernels.average(both, -1, True), alone)
    finally:
        torch.set_num_threads(threads)


def _build(folder, built):
    os.environ["XDG_CACHE_HOME"] = folder
    built.put(native.library() is not None)


@needs_a_compiler
def test_processes_that_build_at_once_do_not_disturb_each_other(tmp_path):
    """The compiler, twice: some 4 seconds."""
    context = multiprocessing.get_context("forkserver")  # it imports torch once
    context.set_forkserver_preload([__name__])
    built = context.SimpleQueue()
    processes = [context.Process(target=_build, args=(str(tmp_path), built)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [built.get() for _ in processes] == [True] * 2
    assert [file.suffix for file in (tmp_path / "conductance").iterdir()] == [".so"]


@pytest.mark.usefixtures("anew")
def test_without_a_compiler_the_numbers_are_the_same_and_one_warning_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native.shutil, "which", lambda _: None)
    both = 0.1 + torch.rand(5, 8)
    kernels.use_average("native")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler.*CONDUCTANCE_NATIVE=0"):
        found = kernels.average(both, -1, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(kernels.average(both, -1, True), found)
    kernels.use_average("formula")
    torch.testing.assert_close(found, kernels.average(both, -1, True))


@pytest.mark.usefixtures("anew")
def test_no_code_is_loaded_from_where_others_can_write(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "conductance").mkdir()
    (tmp_path / "conductance").chmod(0o777)
    with pytest.warns(UserWarning, match="others can write there"):
        assert native.library() is None


@pytest.mark.usefixtures("anew")
def test_small_tensors_build_nothing(monkeypatch):
    monkeypatch.setattr(native, "build", lambda _: pytest.fail("built for a small tensor"))
    kernels.average(torch.rand(10, 20), -1, True)
    monkeypatch.setenv("CONDUCTANCE_NATIVE", "0")
    kernels.average(torch.rand(2, native.LEAST), -1, True)


@needs_a_compiler
@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("kernel", ["native", "blocked"])
@pytest.mark.parametrize("what", ["average", "pooled", "joined"])
def test_second_derivatives_take_every_path(what, kernel):
    """By the result, by z and by D, in a last pass that nobody differentiates again."""
    kernels.use_average(kernel)
    generator = torch.Generator().manual_seed(0)
    both = torch.rand(2, 8, 3, generator=generator, dtype=torch.float64).add(0.2).requires_grad_()
    shortcut = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    run = {
        "average": lambda both, _: kernels.average(both, -2, False),
        "pooled": lambda both, _: kernels.pooled_average(both, -2, False),
        "joined": lambda both, shortcut: kernels.joined_average(both, shortcut.add(1), -2),  # open everywhere
    }[what]
    assert torch.autograd.gradgradcheck(lambda *leaves: run(*leaves).square(), (both, shortcut), atol=1e-4)
