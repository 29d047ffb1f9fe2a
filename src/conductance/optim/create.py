"""The right optimizer for a network, by one call."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from conductance.checked import checked
from conductance.deprecation import renamed_arguments
from conductance.errors import InputError, UnknownNameError
from conductance.optim.centering import Centering
from conductance.optim.flow import data_flow
from conductance.optim.optimizer import OPTIMIZERS, ConductanceOptimizer, RuleName
from conductance.optim.readout import AFFINE
from conductance.optim.synapses import Synapses, hidden_synapses
from conductance.sharded import whole

SHALLOW_LR = 0.1
SHALLOW = 4
DEFAULT_MOMENTUM = {"muon": 0.95, "sgd": 0.9, "eg": 0.9}


@checked
@renamed_arguments(learning_rate="lr", readout_learning_rate="readout_lr", leak_learning_rate="leak_lr")
def create_optimizer(
    model: nn.Module,
    name: RuleName = "muon",
    lr: float | None = None,
    *,
    readout_lr: float = 3e-3,
    leak_lr: float | None = None,
    momentum: float | None = None,
    block: int = 32,
    betas: tuple[float, float] = (0.9, 0.99),
    centered: bool = False,
    readout: nn.Module | str | None = None,
    example: Any = None,
) -> ConductanceOptimizer:
    """An optimizer that moves synapses relative to their size, and everything else by Adam.

    The synapses of the hidden layers (conductances; in affine and AbsNorm networks the weights) move by the rule
    ``name``, each layer in proportion to its own mean conductance at the start, so that one step size suits all layers:

    * ``muon``: by ``lr`` times the mean, as a root mean square, along an orthogonal matrix (`muon.muon`);
    * ``adam``: each by about ``lr`` times the mean;
    * ``sgd``: Nesterov momentum; the step is ``lr`` times fan-in times the squared mean, because the gradient of an
      average falls with both;
    * ``eg``: exponentiated gradient, which multiplies conductances; the exponent is ``lr`` times fan-in times mean.

    Leaks, readout, biases and BatchNorm move by Adam. (A copy of any torch optimizer has no hooks, so ``centered`` is
    lost in it: make a new optimizer for a copied model, and load the state.)

    Args:
        model: any module.
        name: see above.
        lr: step size of the synapses; `default_lr` of the number of hidden layers if left out (in series, if
            ``example`` shows how they are connected).
        readout_lr: step size of everything else.
        leak_lr: step size of the leaks that are learned, as a fraction of the conductance that all synapses of a unit
            have together, so that a threshold moves as fast in a layer of many synapses; by default leaks move as
            everything else.
        momentum: of muon, sgd and eg; by default 0.95, 0.9 and 0.9.
        block: muon: the number of units of a layer that are made orthogonal together, at least 1.
        betas: of Adam, wherever it is used.
        centered: remove from the synapses' gradients what would move a unit's mean excitation or inhibition
            (`Centering`).
        readout: the readout, as a module of ``model`` or its name. If left out, it is found: in the data flow of
            ``example``, else as ``model.readout``, ``fc``, ``head`` or ``classifier``, else as the last layer
            (`readout.readout_layers`).
        example: an input of the model, with which it is run once to find the readout.

    Raises:
        UnknownNameError: there is no such rule.
        InputError: a number is out of range, ``readout`` is no module of the model, or ``eg`` is asked to move
            parameters that are not conductances.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    _check_steps(lr=lr, readout_lr=readout_lr, leak_lr=leak_lr)
    if momentum is not None and name == "adam":
        raise InputError(f"momentum={momentum}: Adam has betas instead")
    if momentum is not None and not 0 <= momentum < 1:
        raise InputError(f"momentum={momentum}: must lie in [0, 1)")
    hidden = hidden_synapses(model, readout=readout, example=example)
    learning = [synapses for synapses in hidden if synapses.parameter.requires_grad]
    if name == "eg":
        _check_multiplicative(learning)
    lr = default_lr(_depth(model, hidden, example)) if lr is None else lr
    mu = DEFAULT_MOMENTUM.get(name, betas[0]) if momentum is None else momentum
    groups: list[dict[str, Any]] = [
        {
            "params": [synapses.parameter],
            "rule": name,
            "lr": lr,
            "scale": _scale(name, synapses),
            "betas": (mu, betas[1]),
            "kinds": synapses.kinds,
            "mask": None if synapses.mask is None else whole(synapses.mask),
            "least": 0.0 if synapses.are_conductances else None,
        }
        for synapses in learning
    ]
    groups += _leak_groups(hidden, leak_lr, readout_lr)
    taken = {parameter for group in groups for parameter in group["params"]}
    rest = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter not in taken]
    groups += [{"params": rest}] if rest else []
    if not groups:
        raise InputError("the model has no parameter that learns (requires_grad)")
    optimizer = ConductanceOptimizer(groups, readout_lr, betas=betas, block=block)
    if centered:
        Centering(optimizer, model, readout=readout, example=example)
    return optimizer


def default_lr(depth: int) -> float:
    """The default step size of synapses, for a network of ``depth`` hidden layers in series.

    0.1 for up to four layers, and falling with the square of the depth from there on: the deeper a network, the
    smaller the steps at which its layers still learn together. Chosen by measurement (docs/training.md).
    """
    return SHALLOW_LR * SHALLOW**2 / max(depth, SHALLOW) ** 2


def _depth(model: nn.Module, hidden: Sequence[Synapses], example: Any) -> int:
    if example is not None:
        flow = data_flow(model, example)
        return flow.depth - any(isinstance(layer, AFFINE) for layer in flow.outputs)
    layers = {synapses.layer for synapses in hidden}
    inside = {part for layer in layers for part in layer.modules() if part is not layer}  # interneurons
    return len(layers - inside)


def _scale(name: RuleName, synapses: Synapses) -> float:
    """What the rule's step size is a fraction of."""
    fan_in = {"sgd": synapses.fan_in * synapses.size, "eg": synapses.fan_in}
    return fan_in.get(name, 1) * synapses.size


def _leak_groups(hidden: Sequence[Synapses], lr: float | None, readout_lr: float) -> Iterator[dict[str, Any]]:
    """Learnt leaks, each on the scale of what all synapses of a unit of its layer have together, or as the readout."""
    seen: set[nn.Parameter] = set()
    for synapses in hidden:
        leak = synapses.learned_leak
        if leak is not None and leak.requires_grad and leak not in seen:
            seen.add(leak)
            step = {"lr": readout_lr} if lr is None else {"lr": lr, "scale": synapses.fan_in * synapses.size}
            yield {"params": [leak], **step, "least": 0.0 if synapses.are_conductances else None}


def _check_multiplicative(learning: Sequence[Synapses]) -> None:
    for synapses in learning:
        if not synapses.are_conductances:
            raise InputError(
                f"eg multiplies conductances, but the parameters of {synapses.layer} are not conductances; build all "
                "hidden layers as conductance layers with nonnegative='clamped'"
            )


def _check_steps(**steps: float | None) -> None:
    for name, step in steps.items():
        if step is not None and not 0 <= step < float("inf"):
            raise InputError(f"{name}={step}: a step size must not be negative, and finite")
