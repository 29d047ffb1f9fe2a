"""Preprocessing: from the bytes of images to the input of a network."""

import torch
from torch import Tensor, nn

from conductance.checked import checked, require_counts
from conductance.data.images import require_pixels
from conductance.errors import InputError, UnknownNameError

PREPROCESSINGS = ("scaled", "unit", "whitened")
"""The kinds of preprocessing."""

FULL = 255
"""The largest value of a pixel."""

# scale and shift of each kind before it is fitted
_MAPS = {"scaled": (1.3 / FULL, -0.3), "unit": (1 / FULL, 0.0), "whitened": (torch.nan, torch.nan)}


class Preprocessing(nn.Module):
    """Maps uint8 images (B, C, H, W) to float32 ones of the same shape, on the same device.

    - `scaled` maps 0..255 to [-0.3, 1] and clips to [0, 1]: dark pixels become 0, and none is negative, as firing rates
      are not negative (paper section 4.1).
    - `unit` maps 0..255 to [0, 1]: different bytes stay different.
    - `whitened` gives each channel mean 0 and variance 1 over the images that it was fitted to.

    Each is an affine map for each channel. Its buffers `scale` and `shift`, of shape (C, 1, 1), are in the state_dict.
    `whitened` must be fitted or loaded first: until then its output is NaN.

    Raises:
        UnknownNameError: `kind` is none of them.
    """

    scale: Tensor
    shift: Tensor

    @checked
    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        require_counts(channels=channels)
        if kind not in PREPROCESSINGS:
            raise UnknownNameError("preprocessing", kind, PREPROCESSINGS)
        self.kind = kind
        scale, shift = _MAPS[kind]
        self.register_buffer("scale", torch.full((channels, 1, 1), scale))
        self.register_buffer("shift", torch.full((channels, 1, 1), shift))

    @classmethod
    def fit(cls, kind: str, pixels: Tensor) -> "Preprocessing":
        """The preprocessing of this kind, fitted to the training images `pixels`, on their device.

        Args:
            kind: one of `PREPROCESSINGS`.
            pixels: uint8 of shape (N, C, H, W).

        Raises:
            UnknownNameError: there is no such kind.
            InputError: `pixels` has another dtype or shape, or a channel to be whitened is constant.
        """
        require_pixels(pixels)
        preprocessing = cls(kind, channels=pixels.shape[1]).to(pixels.device)
        if kind == "whitened":
            mean, deviation = _channel_statistics(pixels)
            preprocessing.scale.copy_((1 / deviation).view(-1, 1, 1))
            preprocessing.shift.copy_((-mean / deviation).view(-1, 1, 1))
        return preprocessing

    def forward(self, pixels: Tensor) -> Tensor:
        """Preprocess a batch.

        Raises:
            InputError: it is not uint8 of shape (B, C, H, W).
        """
        require_pixels(pixels)
        return self.of_values(pixels.float())

    def of_values(self, values: Tensor) -> Tensor:
        """Preprocess float pixels in [0, 255], such as a mixture of two images."""
        inputs = torch.addcmul(self.shift, values, self.scale)
        return inputs.clamp_(0, 1) if self.kind == "scaled" else inputs

    def values_of(self, inputs: Tensor) -> Tensor:
        """The float pixels in [0, 255] that these inputs were made from.

        Raises:
            InputError: the kind is `scaled`, which clips dark pixels, so that they cannot be recovered.
        """
        if self.kind == "scaled":
            raise InputError("preprocessing 'scaled' clips dark pixels, which cannot be recovered; choose 'unit'")
        return (inputs - self.shift) / self.scale

    def extra_repr(self) -> str:
        """The text between the brackets of the repr."""
        return f"{self.kind!r}, channels={len(self.scale)}"


def _channel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, float64 of shape (C,), exact: from counts of values."""
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=FULL + 1) for channel in pixels.unbind(1)])
    shares = counts / counts.sum(dim=1, keepdim=True).double()
    values = torch.arange(FULL + 1, dtype=torch.float64, device=pixels.device)
    mean = shares @ values
    variance = (shares * (values - mean[:, None]).square()).sum(dim=1)
    if not (variance > 0).all():
        constant = int(variance.argmin())
        raise InputError(f"channel {constant} is the same in every pixel and cannot be whitened: use 'scaled'")
    return mean, variance.sqrt()
