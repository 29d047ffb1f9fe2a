"""Stacks of layers with default arguments, as somebody would write them who has read the first page, for the digits."""

from collections.abc import Callable

from torch import Tensor, nn

from conductance.nn import CWAConv2d, CWALinear

Builder = Callable[..., nn.Module]
"""``build(depth, affine=False)``: from a number of hidden layers to a network; affine: of torch's own layers."""

UNITS, CHANNELS, CLASSES = 100, 32, 10


class Residual(nn.Module):
    """The mean of what a layer receives and what it sends, which stays in [0, 1]."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, p: Tensor) -> Tensor:
        """Any shape that the layer keeps."""
        return (p + self.layer(p)) / 2


def fcn(depth: int, affine: bool = False) -> nn.Module:
    """Fully connected layers of 100 units and a readout."""
    layers = [_linear(size, affine) for size in [64] + [UNITS] * (depth - 1)]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(UNITS, CLASSES))


def cnn(depth: int, affine: bool = False) -> nn.Module:
    """3x3 convolutions of 32 channels, pooling and a readout."""
    return nn.Sequential(*_convolutions(depth, affine), *_pooled_readout())


def residual(depth: int, affine: bool = False) -> nn.Module:
    """The same, with a shortcut around each convolution but the first."""
    first, *others = _convolutions(depth, affine)
    return nn.Sequential(first, *map(Residual, others), *_pooled_readout())


NETWORKS: dict[str, Builder] = {"FCN": fcn, "CNN": cnn, "residual CNN": residual}


def _linear(received: int, affine: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(received, UNITS), nn.ReLU()) if affine else CWALinear(received, UNITS)


def _convolutions(depth: int, affine: bool) -> list[nn.Module]:
    return [_convolution(channels, affine) for channels in [1] + [CHANNELS] * (depth - 1)]


def _convolution(received: int, affine: bool) -> nn.Module:
    if affine:
        return nn.Sequential(nn.Conv2d(received, CHANNELS, 3, padding=1), nn.ReLU())
    return CWAConv2d(received, CHANNELS, 3, padding=1)


def _pooled_readout() -> list[nn.Module]:
    return [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * CHANNELS, CLASSES)]
