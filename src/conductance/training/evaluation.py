"""How good a network is."""

import torch
from torch import nn
from torch.nn import functional as F

from conductance.data import DeviceLoader, Images
from conductance.nn.modes import evaluating

EVALUATION_BATCH = 500


@torch.no_grad()
def evaluate(network: nn.Module, preprocessing: nn.Module, images: Images) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in %, in evaluation mode; the network is left as it was."""
    loss = torch.zeros((), device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    with evaluating(network):
        for inputs, labels in DeviceLoader(images, EVALUATION_BATCH, preprocessing=preprocessing, shuffle=False):
            logits = network(inputs).float()
            loss += F.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
    return float(loss) / len(images), 100 * float(correct) / len(images)
