"""Receptive fields: what excites and what inhibits each unit, place by place; and a form small enough to keep."""

import base64
import binascii
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conductance.errors import InputError
from conductance.nn.conductance import ConductanceLayer

UNITS = 8
"""So many units of a layer are kept."""

FINEST = 255


def receptive_fields(layer: ConductanceLayer, shape: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """The excitatory and the inhibitory conductance of each unit to each place, summed over channels.

    Args:
        layer: a 2-d convolution, or a linear layer that reads flattened images.
        shape: height and width of these images; needed for a linear layer.

    Returns:
        Two tensors, (units, height, width), >= 0.

    Raises:
        InputError: the layer's receptive fields are no images.
    """
    G = layer.conductance.detach()
    e = layer.presynaptic.per_synapse(G)
    parts = [G * share for share in (e.clamp(min=0), e.clamp(max=0).neg())]
    if shape is not None and G.ndim == 2:
        if G.shape[1] % prod(shape):
            raise InputError(f"shape={shape}: the layer reads {layer.in_channels} numbers, which are no such images")
        parts = [part.unflatten(1, (-1, *shape)) for part in parts]
    if parts[0].ndim != 4:
        raise InputError(
            "receptive fields are drawn of 2-d convolutions, or of linear layers with shape=(height, width)"
        )
    return parts[0].sum(1), parts[1].sum(1)


def packed_fields(layer: ConductanceLayer, image: tuple[int, ...]) -> dict[str, Any] | None:
    """The fields of the first `UNITS` units as plain values, largest = 255; None where they are no images.

    Args:
        layer: any.
        image: the shape of the network's input without samples. A linear layer that reads as many numbers (or twice as
            many, doubled) reads this image.
    """
    G = layer.conductance
    places = image[-2:] if len(image) == 3 else None
    reads_image = places is not None and G.ndim == 2 and G.shape[1] in (prod(image), 2 * prod(image))
    if G.ndim != 4 and not reads_image:
        return None
    parts = torch.stack(receptive_fields(layer, places if reads_image else None))[:, :UNITS].double()
    largest = parts.amax().item()
    values = (parts / largest * FINEST if largest > 0 else parts).round().byte().cpu().numpy()
    _, units, height, width = values.shape
    return {
        "units": units,
        "height": height,
        "width": width,
        "values": base64.b64encode(values.tobytes()).decode(),
    }


def unpacked_fields(record: Mapping[str, Any]) -> np.ndarray:
    """The inverse: (2, units, height, width) in [0, 1], what excites first.

    Raises:
        ValueError: the values are not as many as the sizes say.
    """
    sizes = [record[name] for name in ("units", "height", "width")]
    if not all(isinstance(size, int) and 0 < size < 2**16 for size in sizes) or not isinstance(record["values"], str):
        raise ValueError("sizes that are no whole numbers above 0, or values that are no text")
    try:
        values = base64.b64decode(record["values"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"values that are not base64 ({error})") from None
    if len(values) != 2 * prod(sizes):
        raise ValueError(f"{len(values)} values for 2 x {' x '.join(map(str, sizes))} places")
    return np.frombuffer(values, np.uint8).reshape(2, *sizes) / FINEST
