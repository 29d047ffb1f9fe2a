"""Random turns and stretches; test_augment.py has what holds for shifts too."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from conductance.data import deform
from conductance.errors import InputError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=seeded(99))


def transformed(image, *, turn, wide, high, right, down, mirrored):
    """By scipy: output pixel at (row, column) from the middle comes from linear @ (row, column) + shift."""
    cos, sin = math.cos(turn), math.sin(turn)
    if mirrored:
        wide = -wide
    linear = np.array([[cos * high, sin * wide], [-sin * high, cos * wide]])
    middle = (np.array(image.shape[1:]) - 1) / 2
    offset = middle + np.array([down, right]) - linear @ middle
    planes = [
        affine_transform(plane.numpy().astype(float), linear, offset, order=1, mode="grid-constant") for plane in image
    ]
    return torch.from_numpy(np.stack(planes))


def draws(count, max_shift, max_turn, max_stretch, generator):
    """What `deform` draws from this generator for each image."""
    turn, wide, high, right, down = (2 * torch.rand(5, count, generator=generator) - 1).double()
    mirrored = torch.randint(2, (count,), generator=generator)
    grown = math.log(1 + max_stretch)
    columns = (
        turn * math.radians(max_turn),
        (wide * grown).exp(),
        (high * grown).exp(),
        right * max_shift,
        down * max_shift,
        mirrored,
    )
    names = ("turn", "wide", "high", "right", "down", "mirrored")
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns, strict=True)]


@given(
    shape=st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    max_shift=st.integers(0, 3),
    max_turn=st.floats(0, 180),
    max_stretch=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_every_result_is_what_scipy_interpolates(shape, max_shift, max_turn, max_stretch, seed):
    images = noise(*shape)
    amounts = {"max_shift": max_shift, "max_turn": max_turn, "max_stretch": max_stretch}
    results = deform(images, **amounts, generator=seeded(seed))
    assert (results.dtype, results.shape) == (torch.uint8, images.shape)
    for image, result, drawn in zip(
        images, results, draws(len(images), **amounts, generator=seeded(seed)), strict=True
    ):
        assert (result.double() - transformed(image, **drawn)).abs().max() < 0.51  # half of it is the rounding


@pytest.mark.parametrize("flip", [False, True])
def test_without_turn_stretch_and_shift_it_mirrors_alone(flip):
    images = noise(64, 3, 5, 4)
    results = deform(images, 0, flip, 0.0, 0.0, generator=seeded())
    mirrored = (results == images.flip(3)).flatten(1).all(1)
    assert ((results == images).flatten(1).all(1) | mirrored).all()
    assert bool(mirrored.any()) == flip


@pytest.mark.parametrize(("name", "least"), [("max_turn", "0 or more degrees"), ("max_stretch", "0 or more")])
@pytest.mark.parametrize("amount", [-1, math.inf, math.nan])
def test_an_amount_below_zero_or_beyond_all_numbers_is_refused(name, least, amount):
    with pytest.raises(InputError, match=f"{name} must be {least}, not {amount}|{name}={amount}; give a number"):
        deform(noise(2, 1, 4, 4), **{name: amount})
