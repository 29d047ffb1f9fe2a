"""Affine networks with every trick of `kernels` that serves them too: the baseline that is hard to beat."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.kernels import windows


def tuned(model: nn.Module) -> nn.Module:
    """Have the model's convolutions multiply matrices where a kernel sees its whole input from one position.

    Its steps are to run within `faster_products`.
    """
    for part in model.modules():
        for name, child in part.named_children():
            if type(child) is nn.Conv2d:
                part._modules[name] = _Products(child)
    return model


class _Products(nn.Module):
    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.options = {name: getattr(convolution, name) for name in ("stride", "padding", "dilation", "groups")}

    def forward(self, x: Tensor) -> Tensor:
        if windows.channels_are_last(x) and windows.covers(self.weight, x, **self.options):
            top, left = self.options["padding"]
            seen = self.weight[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            columns, rows = (part.permute(0, 2, 3, 1).flatten(1) for part in (seen, x))
            return F.linear(rows, columns, self.bias)[:, :, None, None]
        return torch.conv2d(x, self.weight, self.bias, **self.options)
