"""A trained network in plain values, as the page reads it."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from conductance.biophysics import to_biophysical
from conductance.data import Preprocessing
from conductance.errors import InputError
from conductance.live import layers
from conductance.live.chain import Link, chain_of, shapes_along
from conductance.nn import AveragingLayer

FULL = 255
MOST_CHANNELS = 3
"""An image that can be seen has one channel or three."""

Plain = dict[str, Any]


def of_conductances(model: nn.Module, preprocessing: Preprocessing, images: Tensor) -> Plain:
    """A network of conductances, with the sizes of its conductances in nS and of its capacitances in pF.

    Args:
        model: what takes preprocessed images.
        preprocessing: what makes its input of pixels.
        images: some images as bytes, (N, C, H, W).

    Raises:
        InputError: it is no chain of conductance layers, pools and an affine readout; or an image has neither one
            channel nor three.
    """
    membranes = to_biophysical(model, images=preprocessing(images))
    by_name = membranes.by_name
    first = membranes.layers[0]

    def hidden(name: str, module: nn.Module, reads: tuple[int, ...], gives: tuple[int, ...]) -> Plain:
        of = by_name.get("" if module is model else name)
        return layers.average(name, module, reads, gives, 1.0 if of is None else of.nanosiemens)

    return {
        **_network(model, preprocessing, images, hidden),
        "millivolts": [first.potentials.minimum, first.potentials.maximum],
        "picofarads": first.capacitance.max().item(),
    }


def of_sums(model: nn.Module, preprocessing: Preprocessing, images: Tensor) -> Plain:
    """A network of affine layers with or without BatchNorm, to be shown beside one of conductances.

    Arguments as for `of_conductances`.

    Raises:
        InputError: it is no chain of affine layers, BatchNorm, rectifications and pools.
    """
    return _network(model, preprocessing, images, None)


def _network(model: nn.Module, preprocessing: Preprocessing, images: Tensor, hidden: Any) -> Plain:
    if images.shape[1] not in (1, MOST_CHANNELS):
        raise InputError(f"images of {images.shape[1]} channels cannot be seen; a live page shows gray or color ones")
    links = chain_of(model)
    example = preprocessing(images[:2])
    shapes = shapes_along(links, example)
    found = list(_layers(links, shapes, hidden))
    scale, shift = (each.flatten().tolist() for each in (preprocessing.scale * FULL, preprocessing.shift))
    return {
        "input": list(images.shape[1:]),
        "preprocessing": {"scale": scale, "shift": shift, "clips": preprocessing.kind == "scaled"},
        "layers": found,
    }


def _layers(links: list[Link], shapes: list[tuple[int, ...]], hidden: Any) -> Iterator[Plain]:
    waiting = list(zip(links, shapes[1:], strict=True))
    reads = shapes[0]
    while waiting:
        (name, module), gives = waiting.pop(0)
        if isinstance(module, nn.Flatten | nn.Unflatten):
            continue  # what is read keeps the places that it had
        if layers.is_pool(module):
            yield layers.pool(name, module, reads, gives)
        elif isinstance(module, AveragingLayer) and hidden is not None:
            yield hidden(name, module, reads, gives)
        elif hidden is not None and waiting:
            raise InputError(
                f"layer {name} is {type(module).__name__}, which has no membranes: the hidden layers of a live page "
                "must be CWALinear or CWAConv2d; only an affine readout may come last"
            )
        else:
            norm = waiting.pop(0)[0][1] if waiting and layers.is_norm(waiting[0][0][1]) else None
            rectifies = bool(waiting) and isinstance(waiting[0][0][1], nn.ReLU)
            if rectifies:
                waiting.pop(0)
            yield layers.affine(name, module, norm, reads, gives, rectifies)
        reads = gives
