"""Networks for inference: what is the same for every input is computed once, in a copy."""

import copy
from collections.abc import Mapping

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from conductance.checked import checked
from conductance.finite import require_finite
from conductance.nn import AveragingLayer, ConductanceLayer, SignedLayer
from conductance.transform.flow import Pass, asks_for_types, has_hooks, passes, sole_readers, with_shared_tensors
from conductance.transform.frozen import FrozenAverage, NormalizedLinear

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@checked
def freeze(model: nn.Module) -> nn.Module:
    """A copy of a model for inference, with the outputs of ``model.eval()`` up to rounding.

    * Averaging layers become `FrozenAverage`: G, non-negative and in the order in which the products read it, and the
      leak are plain buffers; no h(g) is left to compute.
    * A BatchNorm is folded into the affine layer before it, or becomes a scale and a shift of the averaging layer
      before it; a ReLU after an averaging layer becomes its activation. ``nn.Identity`` takes the places, so that names
      and indices stay.
    * Nothing asks for gradients. Those with respect to the input can still be had.

    A module is folded into a layer where it alone reads that layer's output, and each is called once.
    ``torch.fx`` finds out, so only networks that it can trace are folded: a network whose control flow depends on
    values, or one that stores activations in its modules, gets frozen layers alone. Arguments of ``forward`` without
    a default value are taken to be tensors or containers of tensors.

    What ``model(...)`` returns is kept; what its parts return when they are called alone is not, as a layer may do
    the work of its followers.

    These stay as they are: a BatchNorm that uses the statistics of its batch; a layer with hooks (other than those of
    `optim.create_optimizer`, which act in training), with a learnt gate or with a ``forward`` of its own; all layers of
    a network whose ``forward`` treats them by their class, or cannot be traced and might.

    Freezing a frozen model changes nothing. Its state dict fits any other model frozen from the same architecture.
    Folded into a linear layer, a BatchNorm takes (N, features) alone: of (N, L, features) it would have normalized L.

    Args:
        model: any module; it is left as it was.

    Raises:
        InputError: it holds infinite values or NaN.
    """
    require_finite(model, "frozen")
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    copied.zero_grad()
    _forget_training(copied)
    prefix = "_orig_mod." if "_orig_mod" in copied._modules else ""  # of a compiled model, which torch.fx cannot trace
    readers = _foldable(copied.get_submodule(prefix.rstrip(".")))
    if readers is None:
        return copied
    return _substitute(copied, {prefix + name: prefix + reader for name, reader in readers.items()})


def _foldable(model: nn.Module) -> dict[str, str] | None:
    """Which module may be folded into which, as `sole_readers` gives it; None if no layer may be replaced at all."""
    traced = passes(model)
    if traced is None:
        return None if asks_for_types(model) else {}
    for readers in (sole_readers(model, traced), {}):
        again = passes(_substitute(with_shared_tensors(model), readers))
        if again is not None and all(map(Pass.does_as, again, traced)):
            return readers
    return None


def _forget_training(model: nn.Module) -> None:
    """Drop the hooks of `optim.create_optimizer`, which act in training and refer to the whole network."""
    for module in model.modules():
        for number, hook in list(module._forward_pre_hooks.items()):
            if getattr(hook, "while_training", False):
                del module._forward_pre_hooks[number]
                module._forward_pre_hooks_with_kwargs.pop(number, None)


# Which module becomes which -------------------------------------------------------------------------------------------


def _substitute(model: nn.Module, readers: Mapping[str, str]) -> nn.Module:
    """The model with frozen layers, each with those that read it folded in; ``readers`` as `sole_readers` gives it."""
    named = dict(model.named_modules())
    successors = {id(part): FrozenAverage(part) for part in named.values() if _can_be_frozen(part)}
    successors_of_all: dict[int, nn.Module] = dict(successors)
    for name in readers.keys() - readers.values():
        _fold(name, readers, named, successors_of_all)
    for part in named.values():
        if not isinstance(part, AveragingLayer):
            for name, child in part._modules.items():
                if child is not None:
                    part._modules[name] = successors_of_all.get(id(child), child)
    return successors_of_all.get(id(model), model)


def _fold(
    first: str, readers: Mapping[str, str], named: Mapping[str, nn.Module], successors: dict[int, nn.Module]
) -> None:
    """Fold those that read one another, from ``first`` on, each into the layer before it where that can be."""
    layer, name = named[first], first
    while name in readers:
        name = readers[name]
        follower = named[name]
        if type(follower) is nn.Identity:
            continue
        joined = None
        if _is_plain(layer) and _is_plain(follower):
            joined = _joined(successors.get(id(layer), layer), follower)
        if joined is None:
            layer = follower
        else:
            successors[id(layer)], successors[id(follower)] = joined, nn.Identity()


def _can_be_frozen(module: nn.Module) -> bool:
    """Whether it does what the package's layers do, and nothing else."""
    if not isinstance(module, AveragingLayer):
        return False
    kind = type(module)
    plain = kind.forward is AveragingLayer.forward and kind.packed in (ConductanceLayer.packed, SignedLayer.packed)
    plain = plain and kind.open_conductances is AveragingLayer.open_conductances
    plain = plain and kind.synaptic_conductances is AveragingLayer.synaptic_conductances
    return plain and _is_plain(module) and module.gate is None


def _is_plain(module: nn.Module) -> bool:
    return "forward" not in vars(module) and not has_hooks(module)


def _joined(layer: nn.Module, follower: nn.Module) -> nn.Module | None:
    """One module for two, None where they stay two."""
    if type(follower) is nn.ReLU:
        if isinstance(layer, FrozenAverage):
            layer.rectify = layer.rectify or layer.averages
            return layer if layer.averages else None
        affine = (*_CONVOLUTIONS, nn.Linear, NormalizedLinear)
        follower.inplace |= type(layer) in affine  # nobody else reads an affine sum
    if not isinstance(follower, _BATCH_NORMS) or type(follower) not in _BATCH_NORMS or follower.running_mean is None:
        return None
    if isinstance(layer, FrozenAverage) and layer.may_be_followed_by(follower):
        layer.follow_by(follower)
        return layer
    if isinstance(layer, _CONVOLUTIONS) and type(layer) in _CONVOLUTIONS:
        return fuse_conv_bn_eval(layer, follower)
    if type(layer) is nn.Linear and follower.num_features == layer.out_features:
        return NormalizedLinear(layer, follower)
    return None
