"""ResNet-18 at CIFAR size (He et al. 2016), with the layer family handed in."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from conductance.errors import UnknownNameError
from conductance.models.families import Family

SHORTCUTS = ("sum", "mean")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the rectification comes after the two have joined.

    The shortcut is the identity where the shape stays, else a 1x1 convolution of the same family. ``sum`` adds it
    (He et al.); ``mean`` takes the average, which keeps conductance networks' open probabilities in [0, 1].
    """

    def __init__(self, family: Family, in_channels: int, out_channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.first = family.conv2d(in_channels, out_channels, 3, stride, 1)
        self.second = family.conv2d(out_channels, out_channels, 3, 1, 1, activate=False)
        same_shape = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity() if same_shape else family.conv2d(in_channels, out_channels, 1, stride, 0, activate=False)
        )
        self.join = shortcut

    def forward(self, p: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        z = self.second(self.first(p)) + self.shortcut(p)  # a tensor of its own, so the rest is done in place
        if self.join == "mean":
            z.mul_(0.5)
        return z.relu_()


class ResNet18(nn.Module):
    """A 3x3 stem, four stages of residual blocks, a global mean over positions, an affine readout.

    Args:
        family: what the convolutions are made of.
        input_shape: (channels, height, width).
        num_classes: outputs of the readout.
        widths: channels of each stage; from the second on, each stage halves the positions.
        blocks: residual blocks in each stage.
        shortcut: ``"sum"`` or ``"mean"``; the family's own by default.

    Raises:
        UnknownNameError: another shortcut.
    """

    def __init__(
        self,
        family: Family,
        input_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 2,
        shortcut: str | None = None,
    ) -> None:
        super().__init__()
        shortcut = shortcut or family.shortcut
        if shortcut not in SHORTCUTS:
            raise UnknownNameError("way for a shortcut to join", shortcut, SHORTCUTS)
        self.stem = family.conv2d(input_shape[0], widths[0], 3, 1, 1, first=True)
        sizes = [widths[0], *widths]
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    *(
                        ResidualBlock(family, a if j == 0 else b, b, 2 if i > 0 and j == 0 else 1, shortcut)
                        for j in range(blocks)
                    )
                )
                for i, (a, b) in enumerate(pairwise(sizes))
            )
        )
        self.readout = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, num_classes)."""
        return self.readout(self.stages(self.stem(images)).mean((2, 3)))
