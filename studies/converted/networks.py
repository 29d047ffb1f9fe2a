"""Networks as other people define them, small enough for the 8 x 8 images of the digits."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.extras import import_extra

CLASSES = 10


class Logits(nn.Module):
    """A network of `transformers`, of whose answers only the logits are wanted."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, 8, 8) to (N, classes)."""
        logits: Tensor = self.network(pixel_values=images).logits
        return logits


def _transformers() -> Any:
    return import_extra("transformers", "to build these networks", "dev")


def resnet() -> nn.Module:
    """`transformers.ResNetForImageClassification` with basic blocks, BatchNorm and ReLU."""
    library = _transformers()
    config = library.ResNetConfig(
        num_channels=1,
        embedding_size=16,
        hidden_sizes=[16, 32],
        depths=[1, 1],
        layer_type="basic",
        num_labels=CLASSES,
    )
    return nn.Sequential(nn.Upsample(scale_factor=4), Logits(library.ResNetForImageClassification(config)))


def convnext() -> nn.Module:
    """`transformers.ConvNextForImageClassification`: depthwise convolutions, LayerNorm, GELU."""
    library = _transformers()
    config = library.ConvNextConfig(
        num_channels=1,
        patch_size=2,
        num_stages=2,
        hidden_sizes=[16, 32],
        depths=[1, 1],
        image_size=8,
        num_labels=CLASSES,
        layer_scale_init_value=1.0,
        initializer_range=0.1,
    )
    return Logits(library.ConvNextForImageClassification(config))


def vit() -> nn.Module:
    """`transformers.ViTForImageClassification`: its embedding and the MLPs of its blocks are converted."""
    library = _transformers()
    config = library.ViTConfig(
        num_channels=1,
        image_size=8,
        patch_size=2,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=CLASSES,
        initializer_range=0.1,
    )
    return Logits(library.ViTForImageClassification(config))


class _DoubleConvolution(nn.Sequential):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """A U-Net: down by max-pooling, up by transposed convolutions, joined by concatenation.

    Its answer for an image is the largest over positions of what it says of each.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down1 = _DoubleConvolution(1, width)
        self.down2 = _DoubleConvolution(width, 2 * width)
        self.bottom = _DoubleConvolution(2 * width, 2 * width)
        self.up2 = nn.ConvTranspose2d(2 * width, 2 * width, 2, stride=2)
        self.join2 = _DoubleConvolution(4 * width, width)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear")
        self.join1 = _DoubleConvolution(2 * width, width)
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, 8, 8) to (N, classes)."""
        first = self.down1(images)
        second = self.down2(F.max_pool2d(first, 2))
        x = self.bottom(F.max_pool2d(second, 2))
        x = self.join2(torch.cat([second, self.up2(x)], 1))
        x = self.join1(torch.cat([first, self.up1(x)], 1))
        return self.head(x).amax((2, 3))


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if channels != width or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        result: Tensor = self.relu(out)
        return result


def plain_residual() -> nn.Module:
    """A residual network as people write it: one ReLU used twice, a sum in place."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        _ResidualBlock(16, 16, 1),
        _ResidualBlock(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet": resnet,
    "convnext": convnext,
    "vit": vit,
    "u-net": UNet,
    "residual": plain_residual,
}
"""What is converted, by name."""
