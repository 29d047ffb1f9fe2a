"""Mixtures of two images: labeled with a class each, the shares of the classes say how every image was mixed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.data import mix
from conductance.errors import InputError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def mixed(count, max_share=0.5, seed=0, shape=(3, 5, 4)):
    """Random images, one of each class, before and after, and the shares."""
    images = torch.rand(count, *shape, generator=seeded(99))
    return images, *mix(images, torch.arange(count), count, max_share, seeded(seed))


@given(count=st.integers(0, 30), max_share=st.floats(0, 0.5), seed=st.integers(0, 1000))
def test_images_are_mixed_as_their_classes(count, max_share, seed):
    images, results, shares = mixed(count, max_share, seed)
    assert (results.dtype, results.shape) == (images.dtype, images.shape)
    assert (shares.dtype, shares.shape) == (images.dtype, (count, count))
    expected = shares.double() @ images.double().flatten(1)
    torch.testing.assert_close(results.double().flatten(1), expected, rtol=0, atol=1e-6)
    assert ((results >= 0) & (results <= 1)).all()  # open probabilities stay open probabilities


@given(count=st.integers(1, 30), max_share=st.floats(0, 0.5), seed=st.integers(0, 1000))
def test_an_image_has_one_partner_and_is_never_the_lesser_part(count, max_share, seed):
    _, _, shares = mixed(count, max_share, seed)
    torch.testing.assert_close(shares.sum(1), torch.ones(count))
    own = shares.diagonal()
    others = shares - own.diag()
    assert (own >= 1 - max_share - 1e-6).all()
    assert ((others > 0).sum(1) <= 1).all()
    assert ((others > 0).sum(0) <= 1).all()  # and nobody is the partner of two


def test_shares_spread_evenly_up_to_the_largest():
    _, _, shares = mixed(4000, 0.4, shape=(1, 1, 1))
    others = 1 - shares.diagonal()
    counts = others.histc(4, 0, 0.4)
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)


def test_partners_and_shares_are_drawn_anew():
    assert not torch.equal(mixed(20, seed=0)[1], mixed(20, seed=1)[1])
    assert torch.equal(mixed(20, seed=0)[1], mixed(20, seed=0)[1])


def test_images_of_one_class_keep_it():
    images = torch.rand(8, 1, 4, 4)
    results, shares = mix(images, torch.full((8,), 2), 3, 0.5, seeded())
    assert not torch.equal(results, images)
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.0, 1.0]).expand(8, 3))


@pytest.mark.parametrize("share", [-0.1, 0.6, math.nan])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(
        InputError, match=rf"max_share must lie in \[0, 0.5\], not {share}|max_share={share}; give a number"
    ):
        mixed(2, share)
