"""What is found inside a CNN: common mode, directions of synapses and gradients, and what each layer knows."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.data import Images
from conductance.nn import ConductanceLayer
from conductance.optim import hidden_synapses
from conductance.training import Trainer
from studies.shared.activity import before_rectification, common_mode

IMAGES = 500
"""To look at activities and gradients with."""
PROBED, GRID = 5_000, 4
"""Images that a readout of a layer is fitted to, and the positions (each way) that it reads."""
RIDGES = (1e-3, 1e-2, 1e-1)

Row = dict[str, object]


def look_inside(trainer: Trainer, images: Images, held_out: Images) -> Iterator[Row]:
    """The numbers of each hidden layer, counted from 1.

    * ``common mode``: the share of z squared that one pattern over the units holds (images and positions apart);
    * ``synapses``, ``gradient``: in how many directions they point: the sum of the squares of a matrix's singular
      values over the largest square (the *stable rank*), of the signed synapses and of the gradient of the
      cross-entropy, as a share of what the matrix could have;
    * ``readout``: the accuracy (%) of a linear readout of the layer alone, fitted to training images, on those held
      out.

    BatchNorm takes the statistics of the images that it is shown.
    """
    network, preprocessing = trainer.network, trainer.data.preprocessing
    assert preprocessing is not None
    network.train()
    shown = preprocessing(held_out.pixels[:IMAGES])
    for layer, z in enumerate(before_rectification(network, shown), start=1):
        yield {"layer": layer, "quantity": "common mode", "value": common_mode(z.movedim(1, -1).flatten(0, -2))}
    yield from _directions(network, shown, held_out.labels[:IMAGES])
    learned, judged = preprocessing(images.pixels[:PROBED]), preprocessing(held_out.pixels)
    for layer, (a, b) in enumerate(zip(_outputs(network, learned), _outputs(network, judged), strict=True), start=1):
        accuracy = probe(a, images.labels[:PROBED], b, held_out.labels)
        yield {"layer": layer, "quantity": "readout", "value": accuracy}


def _directions(network: nn.Module, images: Tensor, labels: Tensor) -> Iterator[Row]:
    network.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    hidden = network.get_submodule("hidden")
    layers = [each for each in hidden.modules() if isinstance(each, ConductanceLayer)]
    for place, synapses in enumerate(hidden_synapses(network)):
        parameter = synapses.parameter
        assert parameter.grad is not None
        signed = layers[place].presynaptic.per_synapse(parameter) * layers[place].conductance if layers else parameter
        for quantity, matrix in (("synapses", signed), ("gradient", parameter.grad)):
            yield {"layer": place + 1, "quantity": quantity, "value": directions(matrix.detach().flatten(1))}
    network.zero_grad()


def directions(matrix: Tensor) -> float:
    """The stable rank as a share of the largest that the matrix can have."""
    values = torch.linalg.svdvals(matrix.double()).square()
    return float(values.sum() / values[0].clamp(min=1e-300) / len(values))


@torch.no_grad()
def _outputs(network: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """What each hidden layer sends on, averaged over a grid of positions, flat."""
    parts: list[list[Tensor]] = []
    for batch in images.split(IMAGES):
        for place, z in enumerate(before_rectification(network, batch)):
            p = z.relu()
            p = F.adaptive_avg_pool2d(p, GRID) if p.shape[-1] > GRID else p
            if place == len(parts):
                parts.append([])
            parts[place].append(p.flatten(1))
    return iter([torch.cat(each) for each in parts])


def probe(learned: Tensor, labels: Tensor, judged: Tensor, answers: Tensor) -> float:
    """Accuracy (%) of a ridge regression to the classes; its ridge is chosen on a fifth of the images to learn from."""
    mean, spread = learned.mean(0), learned.std(0) + 1e-6
    learned, judged = (learned - mean) / spread, (judged - mean) / spread
    kept = len(learned) * 4 // 5
    ridges = {ridge: _fit(learned[:kept], labels[:kept], ridge) for ridge in RIDGES}
    best = max(RIDGES, key=lambda ridge: _accuracy(ridges[ridge], learned[kept:], labels[kept:]))
    return _accuracy(_fit(learned, labels, best), judged, answers)


def _fit(inputs: Tensor, labels: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    targets = F.one_hot(labels).float()
    offset = targets.mean(0)
    square = inputs.T @ inputs / len(inputs)
    scale = square.diagonal().mean() * square.shape[0] * ridge
    square.diagonal().add_(scale)
    return torch.linalg.solve(square, inputs.T @ (targets - offset) / len(inputs)), offset


def _accuracy(fit: tuple[Tensor, Tensor], inputs: Tensor, labels: Tensor) -> float:
    weights, offset = fit
    return 100 * float(((inputs @ weights + offset).argmax(1) == labels).float().mean())
