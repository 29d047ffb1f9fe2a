"""Tensors, and tuples and dicts of tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conductance.errors import InputError
from conductance.nested import (
    all_finite,
    as_tensors,
    described,
    first_bad_row,
    length_of,
    map_tensors,
    take,
    tensors_of,
)

NUMBERS = st.sampled_from(
    [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.uint16, np.bool_]
)
shapes = arrays.array_shapes(max_dims=3, max_side=4)


@given(
    array=NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, shapes)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_an_array_is_a_tensor_of_the_same_numbers(array, dtype):
    tensor = as_tensors(array, dtype)
    kinds = {"f": dtype, "i": torch.int64, "u": torch.int64, "b": torch.bool}
    assert tensor.dtype == (torch.uint8 if array.dtype == np.uint8 else kinds[array.dtype.kind])
    with np.errstate(over="ignore"):
        expected = array.astype(np.float32 if dtype == torch.float32 else np.float64)
    np.testing.assert_array_equal(tensor.numpy().astype(expected.dtype), expected)


@pytest.mark.parametrize("change", [
    lambda array: array[::-1], lambda array: array.T, lambda array: array[:, ::2], lambda array: array.astype(">f4"),
    lambda array: np.asfortranarray(array),
])  # fmt: skip
def test_however_an_array_lies_in_memory(change):
    array = change(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert as_tensors(array).tolist() == array.tolist()
    array.flags.writeable = False
    tensor = as_tensors(array)
    tensor += 1
    assert tensor.tolist() == (array + 1).tolist()


def test_memory_is_shared_where_it_can_be():
    array = np.zeros((3, 2), np.float32)
    as_tensors(array)[1] = 7
    assert array[1, 0] == 7
    tensor = torch.zeros(2)
    assert as_tensors(tensor) is tensor


@pytest.mark.parametrize(("values", "expected"), [
    ([1.0, 2.0], torch.tensor([1.0, 2.0])),
    ([[1, 2], [3, 4]], torch.tensor([[1, 2], [3, 4]])),
    (3.0, torch.tensor(3.0)),
    (np.float64(3), torch.tensor(3.0)),
    ([np.zeros(2), np.ones(3)], (torch.zeros(2), torch.ones(3))),
    ({"a": [1.0], "b": (torch.zeros(1), np.ones(1))}, {"a": torch.ones(1), "b": (torch.zeros(1), torch.ones(1))}),
    (torch.ones(2, dtype=torch.int16), torch.ones(2, dtype=torch.int64)),
])  # fmt: skip
def test_containers_keep_their_parts_and_lists_of_numbers_are_arrays(values, expected):
    torch.testing.assert_close(as_tensors(values), expected, rtol=0, atol=0)


@pytest.mark.parametrize("values", ["images.pt", None, [[1], [2, 3]], np.array([None]), np.array(["a"]), object(), 1j])
def test_what_holds_no_numbers_is_refused_in_a_line(values):
    with pytest.raises(InputError) as raised:
        as_tensors(values)
    assert "\n" not in str(raised.value)


NESTED = {"a": torch.arange(4), "b": (torch.ones(4, 2), torch.zeros(4))}


def test_parts_are_found_taken_and_replaced():
    assert [tuple(tensor.shape) for tensor in tensors_of(NESTED)] == [(4,), (4, 2), (4,)]
    assert length_of(NESTED, "inputs") == 4
    assert described(NESTED) == "int64 (4,), float32 (4, 2), float32 (4,)"
    taken = take(NESTED, torch.tensor([2, 0]))
    assert taken["a"].tolist() == [2, 0]
    assert [tuple(tensor.shape) for tensor in tensors_of(taken)] == [(2,), (2, 2), (2,)]
    assert map_tensors(torch.sum, NESTED) == {"a": 6, "b": (8, 0)}


@given(rows=st.lists(st.integers(0, 8), max_size=3), bad=st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_the_first_bad_row_is_found(rows, bad):
    values = (torch.zeros(9), torch.zeros(9, 2, 3), torch.arange(9))
    for row in rows:
        values[row % 2][row] = bad
    assert first_bad_row(values) == min(rows, default=None)
    assert bool(all_finite(*values)) == (not rows)
