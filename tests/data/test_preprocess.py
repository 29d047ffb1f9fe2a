"""What a network sees of a byte."""

import pytest
import torch

from conductance.data import PREPROCESSINGS, Preprocessing
from conductance.errors import InputError, UnknownNameError


@pytest.fixture
def pixels():
    """Images whose three channels differ in mean and in spread."""
    generator = torch.Generator().manual_seed(0)
    channels = [torch.randint(*span, (40, 1, 6, 7), generator=generator) for span in ((0, 256), (100, 120), (0, 9))]
    return torch.cat(channels, dim=1).to(torch.uint8)


@pytest.mark.parametrize("kind", PREPROCESSINGS)
def test_the_result_is_float32_of_the_same_shape_and_the_batch_is_left_alone(kind, pixels):
    before = pixels.clone()
    result = Preprocessing.fit(kind, pixels)(pixels)
    assert result.dtype == torch.float32
    assert result.shape == pixels.shape
    assert torch.equal(pixels, before)


def test_scaled_is_the_papers_formula_for_every_byte():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    expected = (ramp.double() / 255 * 1.3 - 0.3).clamp(0, 1)
    result = Preprocessing.fit("scaled", ramp)(ramp)
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=1e-6)
    assert result.min() >= 0
    assert result.max() <= 1


def test_unit_tells_every_byte_from_every_other():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    result = Preprocessing.fit("unit", ramp)(ramp)
    torch.testing.assert_close(result.double(), ramp.double() / 255, rtol=0, atol=1e-6)
    assert result.min() == 0
    assert result.max() <= 1
    assert len(result.unique()) == 256


@pytest.mark.parametrize("kind", ["unit", "whitened"])
def test_inputs_lead_back_to_the_pixels(kind, pixels):
    preprocessing = Preprocessing.fit(kind, pixels)
    torch.testing.assert_close(preprocessing.values_of(preprocessing(pixels)), pixels.float(), rtol=0, atol=1e-3)


def test_what_scaled_clipped_is_not_made_up(pixels):
    preprocessing = Preprocessing.fit("scaled", pixels)
    with pytest.raises(InputError, match=r"clips dark pixels.*choose 'unit'"):
        preprocessing.values_of(preprocessing(pixels))


def test_black_is_exactly_nothing_under_scaled():
    black = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert torch.equal(Preprocessing.fit("scaled", black)(black), torch.zeros(2, 3, 4, 4))


def test_whitened_training_images_have_mean_0_and_variance_1_in_each_channel(pixels):
    white = Preprocessing.fit("whitened", pixels)(pixels).double()
    torch.testing.assert_close(white.mean(dim=(0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(white.var(dim=(0, 2, 3), correction=0), torch.ones(3).double(), rtol=1e-4, atol=0)


def test_whitening_uses_the_training_images_statistics_on_all_others(pixels):
    values = pixels.double()
    mean = values.mean(dim=(0, 2, 3), keepdim=True)
    deviation = values.std(dim=(0, 2, 3), correction=0, keepdim=True)
    other = pixels.flip(1)
    expected = (other.double() - mean) / deviation
    result = Preprocessing.fit("whitened", pixels)(other)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", PREPROCESSINGS)
def test_the_state_dict_holds_all_there_is_to_restore(kind, pixels):
    fitted = Preprocessing.fit(kind, pixels)
    restored = Preprocessing(kind, channels=3)
    restored.load_state_dict(fitted.state_dict())
    assert torch.equal(restored(pixels), fitted(pixels))
    assert not [*restored.parameters()]


def test_a_whitening_that_was_never_fitted_cannot_pass_unnoticed(pixels):
    assert Preprocessing("whitened", channels=3)(pixels).isnan().all()


def test_a_constant_channel_cannot_be_whitened(pixels):
    pixels[:, 1] = 7
    with pytest.raises(InputError, match="channel 1 is the same in every pixel"):
        Preprocessing.fit("whitened", pixels)


def test_an_unknown_kind_is_an_error_that_knows_better(pixels):
    with pytest.raises(UnknownNameError, match="did you mean 'whitened'"):
        Preprocessing.fit("whiten", pixels)


def test_what_are_not_images_of_bytes_is_refused(pixels):
    preprocessing = Preprocessing.fit("scaled", pixels)
    for wrong in (pixels.float(), pixels[0]):
        with pytest.raises(InputError, match="pixels must be uint8 of shape"):
            preprocessing(wrong)
