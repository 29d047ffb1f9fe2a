"""ResNet-18 at CIFAR size (He et al. 2016), with the layer family handed in."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from conductance.checked import checked, require_counts
from conductance.errors import InputError, UnknownNameError
from conductance.models.families import Family
from conductance.models.shape import check_shape
from conductance.nn import GapJunction
from conductance.nn.shortcut import mean_with_shortcut

SHORTCUTS = ("sum", "mean", "conductance")

# Of an identity's gap junction at the start, per synapse of the unit it joins: about the mean open probability in
# balanced networks, so that branch and shortcut start with about the same weight.
COUPLING = 0.05


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the rectification comes after the two have joined.

    The shortcut is the identity where the shape stays, else a 1x1 convolution of the same family. It joins by

    * ``sum`` (He et al.);
    * ``mean``, which keeps conductance networks' open probabilities in [0, 1];
    * ``conductance``: it enters the second convolution's average as further conductances, the identity by a gap
      junction to each unit (`conductance.nn.GapJunction`), the 1x1 convolution by its own E' and I', so that z stays
      one conductance-weighted average. For families that average.

    With ``branch_scale``, the branch's weight beside the shortcut is learnt from this start (SkipInit, De and Smith
    2020): the sum of the shortcut and a times the branch, or their mean with weights 1 - a and a, a in [0, 1].
    """

    def __init__(
        self,
        family: Family,
        in_channels: int,
        out_channels: int,
        stride: int,
        shortcut: str,
        branch_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.join = shortcut
        averaged_together = shortcut == "conductance"
        self.first = family.conv2d(in_channels, out_channels, 3, stride, 1)
        self.second = family.conv2d(out_channels, out_channels, 3, 1, 1, activate=averaged_together)
        self.shortcut: nn.Module
        if stride != 1 or in_channels != out_channels:
            hand_on = {"average": False} if averaged_together else {}
            self.shortcut = family.conv2d(in_channels, out_channels, 1, stride, 0, activate=False, **hand_on)
        elif averaged_together:
            self.shortcut = GapJunction(out_channels, COUPLING * 9 * out_channels)
        else:
            self.shortcut = nn.Identity()
        self.branch_scale = None if branch_scale is None else nn.Parameter(torch.tensor(float(branch_scale)))

    def forward(self, p: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        if self.join == "conductance":
            return self.second(self.first(p), self.shortcut(p))
        if self.join == "mean" and self.branch_scale is None:
            return mean_with_shortcut(self.second, self.first(p), lambda: self.shortcut(p))
        branch, shortcut = self.second(self.first(p)), self.shortcut(p)
        if self.branch_scale is not None:
            if self.join == "mean":
                return shortcut.lerp(branch, self.branch_scale.clamp(0, 1).to(branch.dtype)).relu_()
            return torch.addcmul(shortcut, branch, self.branch_scale.to(branch.dtype)).relu_()
        return (branch + shortcut).relu_()  # the sum is a tensor of its own


class ResNet18(nn.Module):
    """A 3x3 stem, four stages of residual blocks, a global mean over positions, an affine readout.

    Args:
        family: what the convolutions are made of.
        input_shape: (channels, height, width).
        num_classes: outputs of the readout.
        widths: channels of each stage; from the second on, each stage halves the positions.
        blocks: residual blocks in each stage.
        shortcut: ``"sum"``, ``"mean"`` or ``"conductance"``; the family's own by default.
        branch_scale: where the learnt weight of each residual branch starts; None for no such weight.

    Raises:
        UnknownNameError: another shortcut.
        InputError: ``"conductance"`` for a family whose units do not average; a branch scale beside it, or out of
            range.
    """

    @checked
    def __init__(
        self,
        family: Family,
        input_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 2,
        shortcut: str | None = None,
        branch_scale: float | None = None,
    ) -> None:
        super().__init__()
        check_shape(input_shape, num_classes, widths)
        require_counts(blocks=blocks)
        shortcut = shortcut or family.shortcut
        _check_joint(family, shortcut, branch_scale)
        self.stem = family.conv2d(input_shape[0], widths[0], 3, 1, 1, first=True)
        sizes = [widths[0], *widths]
        join = partial(ResidualBlock, family, shortcut=shortcut, branch_scale=branch_scale)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(join(a, b, 2 if i > 0 else 1), *(join(b, b, 1) for _ in range(blocks - 1)))
                for i, (a, b) in enumerate(pairwise(sizes))
            )
        )
        self.readout = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, num_classes)."""
        return self.readout(self.stages(self.stem(images)).mean((2, 3)))


def _check_joint(family: Family, shortcut: str, branch_scale: float | None) -> None:
    if shortcut not in SHORTCUTS:
        raise UnknownNameError("way for a shortcut to join", shortcut, SHORTCUTS)
    if shortcut == "conductance":
        if not family.averages:
            raise InputError(
                f"shortcut=conductance: units of family {family.name} do not average conductances; choose sum or mean"
            )
        if branch_scale is not None:
            raise InputError("branch_scale: with shortcut=conductance the gap junctions weigh branch and shortcut")
    if branch_scale is not None and not 0 <= branch_scale <= 1:
        raise InputError(f"branch_scale={branch_scale}: must lie in [0, 1]")
