"""Networks for inference: what is the same for every input computed once, in a copy."""

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from conductance import functional, kernels
from conductance.errors import InputError
from conductance.nn.base import ConductanceLayer, SignedLayer, _AveragingLayer

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def freeze(model: nn.Module) -> nn.Module:
    """A copy of a model for inference, with the outputs of ``model.eval()`` up to rounding.

    * Averaging layers become `FrozenAverage`: G, positive and laid out as the products read it, and the leak are
      plain buffers; no h(g) is left to compute.
    * Inside ``nn.Sequential``, a BatchNorm is folded into the affine layer before it, or becomes a scale and a shift
      of the averaging layer before it; a ReLU after an averaging layer becomes its activation. ``nn.Identity`` takes
      the places, so that names and indices stay.
    * Nothing asks for gradients. Those with respect to the input can still be had.

    A BatchNorm that uses the statistics of its batch, a layer with hooks (other than those of
    `optim.create_optimizer`, which act while it is trained) or a learnt gate, one of a class with a ``forward`` of
    its own and one that is used in several places stay as they are. To freeze a frozen model changes nothing. Its
    state dict fits any other model frozen from the same architecture. Folded behind a linear layer, a BatchNorm takes
    (N, features) alone: of (N, L, features) it would have normalized L.

    Args:
        model: any module; it is left as it was.
    """
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    copied.zero_grad()
    _forget_training(copied)
    return _Freezer(copied).freeze(copied)


class FrozenAverage(nn.Module):
    """An averaging layer whose conductances no longer change; made by `freeze`.

    Input and output as of the layer it was made from, in [0, 1] and [-1, 1].

    Attributes:
        conductance: G >= 0 as `functional.pack` gives it.
        leak: the leak's excitatory and inhibitory conductance, (2, units).
        scale: of a BatchNorm that followed, (units, 1, ...), or None.
        shift: likewise.
    """

    conductance: Tensor
    leak: Tensor
    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, layer: _AveragingLayer) -> None:
        super().__init__()
        self.description = layer.extra_repr()
        self.presynaptic = layer.presynaptic if isinstance(layer, ConductanceLayer) else None
        self.synaptic_sum = layer.synaptic_sum
        self.channel_axis = layer.channel_axis
        self.rectify = layer.activation == "relu"
        self.averages = layer.average
        self.register_buffer("conductance", layer.packed().detach().clone(memory_format=torch.preserve_format))
        self.register_buffer("leak", layer.leak().detach().clone())
        self.register_buffer("scale", None)
        self.register_buffer("shift", None)

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities in [0, 1] to membrane potentials z in [-1, 1], or to open probabilities p."""
        if self.scale is not None and self.channel_axis == -1:
            _require_vectors(p)
        if self.presynaptic is None:
            sums = self.synaptic_sum.shared(p, self.conductance, self.leak)
        else:
            sums = functional.packed_synaptic_sums(p, self.conductance, self.presynaptic, self.leak, self.synaptic_sum)
        if extra_conductances is not None:
            sums = kernels.dense(sums, self.channel_axis) + extra_conductances
        if not self.averages:
            return kernels.dense(sums, self.channel_axis)
        dtype = functional.low_precision(p, self.leak)
        if self.scale is None or self.shift is None:
            return kernels.average(sums, self.channel_axis, self.rectify, dtype)
        z = kernels.average(sums, self.channel_axis, False, dtype)
        normed = torch.addcmul(self.shift.to(z.dtype), z, self.scale.to(z.dtype))
        return normed.relu_() if self.rectify else normed

    def may_be_followed_by(self, norm: nn.modules.batchnorm._BatchNorm) -> bool:
        """Whether it gives one z for each of the features that ``norm`` normalizes, and nothing comes between."""
        alone = self.averages and self.scale is None and not self.rectify
        return alone and norm.num_features == self.leak.shape[1]

    def follow_by(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        """Take in a BatchNorm that comes after z."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight.detach()
        shift = -norm.running_mean * scale
        if norm.affine:
            shift = shift + norm.bias.detach()
        shape = (-1, *(1,) * (-1 - self.channel_axis))
        self.scale, self.shift = scale.view(shape), shift.view(shape)

    def extra_repr(self) -> str:
        """That of the layer it was made from, and what has been folded into it."""
        folded = ", BatchNorm folded" if self.scale is not None else ""
        return f"{self.description}{folded}{', rectified' if self.rectify else ''}"


class _NormalizedLinear(nn.Linear):
    """A linear layer with a BatchNorm folded into it."""

    def __init__(self, linear: nn.Linear, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")  # nothing is drawn
        folded = fuse_linear_bn_eval(linear, norm)
        self.weight, self.bias = folded.weight, folded.bias
        self.eval()

    def forward(self, input: Tensor) -> Tensor:
        _require_vectors(input)
        return super().forward(input)


def _require_vectors(p: Tensor) -> None:
    if p.ndim != 2:
        raise InputError(
            f"a BatchNorm is folded into this layer, which takes (N, features) and was given {tuple(p.shape)}; flatten "
            "the leading axes, as the BatchNorm itself would normalize the axis 1"
        )


# Which module becomes which -------------------------------------------------------------------------------------------


class _Freezer:
    """What has taken the place of each module of a model, and in how many places it stands."""

    def __init__(self, model: nn.Module) -> None:
        places = [module for _, module in model.named_modules(remove_duplicate=False)]
        self.places = Counter(map(id, places))
        self.successors: dict[int, nn.Module] = {}
        self.originals = places  # kept, so that no id is given out twice

    def freeze(self, module: nn.Module) -> nn.Module:
        """The module's successor, the same wherever it stands."""
        if id(module) not in self.successors:
            self.successors[id(module)] = self._successor(module)
        return self.successors[id(module)]

    def _successor(self, module: nn.Module) -> nn.Module:
        if isinstance(module, _AveragingLayer):
            if not _is_as_the_package_made_it(module):
                return module
            frozen = FrozenAverage(module)
            self.places[id(frozen)] = self.places[id(module)]
            return frozen
        parts = module._modules
        for name, part in parts.items():
            if part is not None:
                parts[name] = self.freeze(part)
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            self._fold(parts)
        return module

    def _fold(self, parts: dict[str, nn.Module | None]) -> None:
        """Fold what follows a layer into it; `nn.Identity` keeps the place."""
        before = None
        for name, part in parts.items():
            if type(part) is nn.Identity:
                continue
            layer = parts[before] if before is not None else None
            if layer is not None and part is not None and self._stand_alone(layer, part):
                joined = _joined(layer, part)
                if joined is not None:
                    parts[before], parts[name] = joined, nn.Identity()
                    continue
            before = name

    def _stand_alone(self, *modules: nn.Module) -> bool:
        return not any(self.places[id(module)] > 1 or _has_hooks(module) for module in modules)


def _is_as_the_package_made_it(layer: _AveragingLayer) -> bool:
    kind = type(layer)
    known = (ConductanceLayer.synaptic_sums, SignedLayer.synaptic_sums)
    plain = kind.forward is _AveragingLayer.forward and kind.synaptic_sums in known
    plain = plain and kind.averaged is _AveragingLayer.averaged and "forward" not in layer.__dict__
    return plain and layer.gate is None and not _has_hooks(layer)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _forget_training(model: nn.Module) -> None:
    """Drop the hooks of `optim.create_optimizer`, which act while a network is trained and hold all of it."""
    for module in model.modules():
        for number, hook in list(module._forward_pre_hooks.items()):
            if getattr(hook, "while_training", False):
                del module._forward_pre_hooks[number]
                module._forward_pre_hooks_with_kwargs.pop(number, None)


def _joined(layer: nn.Module, follower: nn.Module) -> nn.Module | None:
    """One module for two, None where they stay two."""
    if type(follower) is nn.ReLU:
        if isinstance(layer, FrozenAverage):
            layer.rectify = True
            return layer
        affine = (*_CONVOLUTIONS, nn.Linear, _NormalizedLinear)
        follower.inplace |= type(layer) in affine  # nobody else reads an affine sum
    if not isinstance(follower, _BATCH_NORMS) or type(follower) not in _BATCH_NORMS or follower.running_mean is None:
        return None
    if isinstance(layer, FrozenAverage) and layer.may_be_followed_by(follower):
        layer.follow_by(follower)
        return layer
    if isinstance(layer, _CONVOLUTIONS) and type(layer) in _CONVOLUTIONS:
        return fuse_conv_bn_eval(layer, follower)
    if type(layer) is nn.Linear and follower.num_features == layer.out_features:
        return _NormalizedLinear(layer, follower)
    return None
