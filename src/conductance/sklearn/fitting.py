"""A network of conductance layers for flat data, and its training by `conductance.Trainer`."""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.nn import CWALinear
from conductance.optim import create_optimizer
from conductance.optim.optimizer import RuleName
from conductance.runs import ProtocolConfig
from conductance.sklearn.samples import Samples
from conductance.training import Trainer, TrainingConfig

Loss = Callable[[Tensor, tuple[Tensor, Tensor]], Tensor]
"""From outputs, and targets with their weights, to a number for each row."""

# accelerate keeps settings of the whole process, so threads of joblib take turns.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        solver: the rule of `create_optimizer`.
        step: of the conductances; None for the default.
        alpha: strength of `contrast` in the loss, for one row.
        batch_size: rows in a batch.
        epochs: passes over the rows.
        seed: of their order.
        patience: epochs without a lower loss on held-out rows before training stops.
        steady: whether the step stays as it is; otherwise it goes up and down once.
        verbose: whether to show progress.
    """

    solver: RuleName
    step: float | None
    alpha: float
    batch_size: int
    epochs: int
    seed: int
    patience: int
    steady: bool
    verbose: bool


class Patience:
    """Stops a training whose validation loss falls no more, and gives the network the best weights it had."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.waited, self.best = epochs, 0, np.inf
        self.state: dict[str, Any] = {}

    def on_epoch(self, trainer: Trainer) -> None:
        """Compare the loss of this epoch with the best."""
        loss = trainer.history[-1]["validation_loss"]
        self.waited += 1
        if loss < self.best:
            self.best, self.waited, self.state = loss, 0, copy.deepcopy(trainer.network.state_dict())
        if self.waited >= self.epochs:
            trainer.stop()

    def on_end(self, trainer: Trainer) -> None:
        """Go back to the best weights."""
        if self.state:
            trainer.network.load_state_dict(self.state)


def build(inputs: int, hidden: Sequence[int], outputs: int, seed: int, dtype: torch.dtype) -> nn.Sequential:
    """Layers of conductances, the first of which reads every channel as an excitatory and an inhibitory copy; readout.

    The random numbers of the rest of the program stay as they are.
    """
    sizes = [inputs, *hidden]
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [
            CWALinear(received, units, doubled_input=number == 0, dtype=dtype)
            for number, (received, units) in enumerate(zip(sizes, hidden, strict=False))
        ]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs, dtype=dtype))


def optimizer_of(network: nn.Sequential, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a network that was built here."""
    return create_optimizer(network, recipe.solver, recipe.step, readout=network[-1])


def train(
    network: nn.Sequential,
    learned: Samples,
    loss: Loss,
    recipe: Recipe,
    held_out: Samples | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> list[dict[str, Any]]:
    """Train a network on open probabilities, in place.

    Returns:
        The metrics of each epoch, see `Trainer.history`.
    """
    config = TrainingConfig(
        recipe.epochs,
        min(recipe.batch_size, len(learned)),
        recipe.seed,
        protocol=ProtocolConfig("constant" if recipe.steady else "onecycle"),
    )
    dtype = _precision(network)
    with _ONE_AT_A_TIME:
        trainer = Trainer(
            network,
            _data(learned, dtype),
            config,
            validation=None if held_out is None else _data(held_out, dtype),
            loss=_penalized(loss, network, recipe.alpha),
            optimizer=optimizer or optimizer_of(network, recipe),
            callbacks=[] if held_out is None else [Patience(recipe.patience)],
            device="cpu",
            progress=recipe.verbose,
        )
        return trainer.fit()


def contrast(layer: CWALinear) -> Tensor:
    """How much a unit's excitatory and inhibitory synapses from the same channel differ.

    The squared difference, in units of the layer's mean conductance, summed over channels and averaged over units.
    Where it is zero, a unit does not see what its channels say.
    """
    G = layer.to_read()
    excitatory, inhibitory = G.chunk(2, 1)
    return F.mse_loss(excitatory, inhibitory, reduction="sum") / (len(G) * G.detach().mean().square())


def _penalized(loss: Loss, network: nn.Sequential, strength: float) -> Loss:
    first = network[0]
    assert isinstance(first, CWALinear)

    def of_training(outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        mean = loss(outputs, targets).mean()
        return mean + strength * contrast(first) if network.training and strength else mean

    return of_training


def _precision(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype


def _data(samples: Samples, dtype: torch.dtype) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    weights = samples.weights / samples.weights.mean()
    y = torch.from_numpy(samples.y)
    targets = (y.to(dtype) if y.is_floating_point() else y, torch.from_numpy(weights).to(dtype))
    return torch.from_numpy(samples.X).to(dtype), targets


@torch.no_grad()
def outputs_of(network: nn.Sequential, p: Any) -> Any:
    """What the readout says of each row, as an array of the network's precision."""
    return network(torch.from_numpy(p).to(_precision(network))).numpy()
