"""Stochastic depth (Huang et al. 2016): residual branches that are left out at random in training."""

import torch
from torch import Tensor, nn

from conductance.models.resnet import ResidualBlock


class OftenLeftOut(nn.Module):
    """A residual block whose branch takes part with a probability, drawn for each image; else the shortcut is alone.

    After training the branch has the weight that it had in the mean.

    Args:
        block: joins branch and shortcut by their mean.
        kept: the probability.
    """

    def __init__(self, block: ResidualBlock, kept: float) -> None:
        super().__init__()
        assert block.join == "mean"
        self.block, self.kept = block, kept

    def forward(self, p: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        branch, shortcut = self.block.second(self.block.first(p)), self.block.shortcut(p)
        weight = torch.full((len(p), 1, 1, 1), self.kept, dtype=p.dtype, device=p.device)
        return shortcut.lerp(branch, (weight.bernoulli() if self.training else weight) / 2).relu()


def leave_out(network: nn.Module, most: float) -> None:
    """Let the branches of a ResNet be left out, the more often the deeper they lie: the last one by ``most``."""
    blocks = [(name, block) for name, block in network.named_modules() if isinstance(block, ResidualBlock)]
    for place, (name, block) in enumerate(blocks, start=1):
        network.set_submodule(name, OftenLeftOut(block, 1 - most * place / len(blocks)))
