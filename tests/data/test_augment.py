"""Random shifts and mirror images, and what holds for every augmentation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.data import deform, shift_and_flip
from conductance.errors import InputError

both = pytest.mark.parametrize("augment", [shift_and_flip, deform])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=seeded(99))


def shifted(image, down, right):
    """The image moved by whole pixels, black where nothing moved in: one pixel at a time."""
    result = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = image[:, row - down, column - right]
    return result


def outcomes(image, max_shift, flip):
    """Every shift of the image and, if `flip`, of its mirror image."""
    moves = range(-max_shift, max_shift + 1)
    return [
        shifted(version, down, right)
        for version in ([image, image.flip(2)] if flip else [image])
        for down in moves
        for right in moves
    ]


@given(
    shape=st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    max_shift=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_result_is_a_shift_or_flip_of_its_original(shape, max_shift, flip, seed):
    images = noise(*shape)
    results = shift_and_flip(images, max_shift, flip, seeded(seed))
    assert (results.dtype, results.shape) == (torch.uint8, images.shape)
    for image, result in zip(images, results, strict=True):
        assert any(torch.equal(result, outcome) for outcome in outcomes(image, max_shift, flip))


@pytest.mark.parametrize("flip", [False, True])
def test_every_shift_and_flip_is_drawn_about_equally_often(flip):
    image, count = noise(2, 3, 4), 9000
    results = shift_and_flip(image.expand(count, -1, -1, -1), 1, flip, seeded()).flatten(1)
    expected = count / (18 if flip else 9)
    for outcome in outcomes(image, 1, flip):
        drawn = int((results == outcome.flatten()).all(dim=1).sum())
        assert abs(drawn - expected) < 6 * expected**0.5


@both
def test_the_same_generator_draws_the_same_and_goes_on_to_draw_otherwise(augment):
    images, generator = noise(32, 1, 8, 8), seeded(5)
    first, second = (augment(images, generator=generator) for _ in range(2))
    assert torch.equal(first, augment(images, generator=seeded(5)))
    assert not torch.equal(first, second)


@both
def test_the_default_generator_serves_where_none_is_given(augment):
    images = noise(32, 1, 8, 8)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = augment(images)
        torch.manual_seed(1)
        assert torch.equal(first, augment(images))


@both
def test_the_images_themselves_are_left_alone(augment):
    images = noise(8, 1, 4, 4)
    before = images.clone()
    augment(images, max_shift=0, flip=False).zero_()
    assert torch.equal(images, before)


@both
def test_what_cannot_be_augmented_is_refused(augment):
    with pytest.raises(InputError, match="pixels must be uint8 of shape"):
        augment(noise(2, 1, 4, 4).float())
    with pytest.raises(InputError, match="max_shift must be 0 or more pixels, not -1"):
        augment(noise(2, 1, 4, 4), max_shift=-1)
