"""Layer families: the same network with conductance-averaging, AbsNorm or affine units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from conductance import nn as cnn
from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.nn.base import require_room
from conductance.valence import excitatory_first

Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class Family:
    """How a network's layers are built, and what input they expect.

    Attributes:
        name: what it is called in presets and tables.
        description: one line for people.
        linear: ``linear(in_features, out_features, *, first=False, activate=True, **options)``.
        conv2d: ``conv2d(in_channels, out_channels, kernel_size, stride, padding, *, first=False, ...)``, likewise.
        preprocessing: ``"scaled"`` to [0, 1], or ``"whitened"`` (paper section 4.1).
        shortcut: how a residual shortcut joins unless told otherwise: ``"sum"``, ``"mean"`` or ``"conductance"``.
        averages: whether its units average conductances and nothing else, so that further ones can join them; its
            builders then take ``average=False`` for a layer that only hands on its conductances.
    """

    name: str
    description: str
    linear: Builder
    conv2d: Builder
    preprocessing: str
    shortcut: str
    averages: bool = False

    def with_options(self, options: Mapping[str, Any]) -> "Family":
        """The same family with further arguments for each of its layers."""
        if not options:
            return self

        def bound(build: Builder) -> Builder:
            return lambda *args, **kwargs: build(*args, **kwargs, **options)

        return replace(self, linear=bound(self.linear), conv2d=bound(self.conv2d))


def _without_units(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a layer: one that only hands on its conductances has no units for an interneuron to pool."""
    handing_on = not options.get("average", True)
    return {name: value for name, value in options.items() if not (handing_on and name == "pooled_interneuron")}


def _cwa(layer: type[nn.Module]) -> Builder:
    def build(
        *sizes: int,
        first: bool = False,
        activate: bool = True,
        activation: str = "relu",
        excitatory_share: float = 0.5,
        **options: Any,
    ) -> nn.Module:
        options = _without_units(options)
        fan_in = sizes[0] // options.get("groups", 1)
        require_room(layer.__name__, (sizes[1], fan_in), sizes[0], options.get("device"), options.get("dtype"))
        # the image is read as an excitatory and an inhibitory copy; only what units send on has a valence to choose
        return layer(
            *sizes,
            doubled_input=first,
            excitatory_share=None if first else excitatory_share,
            unit_valence=excitatory_first(sizes[1], excitatory_share),
            activation=activation if activate else None,
            **options,
        )

    return build


def _cwa_li(layer: type[nn.Module], plain: type[nn.Module]) -> Builder:
    """Interneurons wherever units average; a shortcut that only hands on its conductances has no units."""
    averaging, lateral = _cwa(plain), _cwa(layer)

    def build(*sizes: int, average: bool = True, **options: Any) -> nn.Module:
        if not average:
            for name in ("interneurons", "slices"):
                options.pop(name, None)
            return averaging(*sizes, average=False, **options)
        return lateral(*sizes, **options)

    return build


def _cwa_bn(layer: type[nn.Module], norm: Builder) -> Builder:
    """BatchNorm between z and its rectification, as the paper puts it in its affine networks (section 4.3)."""

    averaging = _cwa(layer)

    def build(*sizes: int, first: bool = False, activate: bool = True, **options: Any) -> nn.Module:
        if options.get("activation", "relu") != "relu" or options.get("learn_gate"):
            raise InputError("cwa_bn: what BatchNorm gives is rectified; leave out activation and learn_gate")
        return _stack(averaging(*sizes, first=first, activate=False, **options), norm(sizes[1]), activate)

    return build


def _absnorm(layer: Builder) -> Builder:
    def build(
        *sizes: int, first: bool = False, activate: bool = True, activation: str = "relu", **options: Any
    ) -> nn.Module:
        del first  # signed synapses need no second copy of the input
        return layer(*sizes, activation=activation if activate else None, **_without_units(options))

    return build


def _affine(layer: Builder, norm: Builder | None) -> Builder:
    def build(*sizes: int, first: bool = False, activate: bool = True, **options: Any) -> nn.Module:
        del first
        if options:
            raise InputError(
                f"affine layers have no {', '.join(sorted(options))}; these options are for cwa and absnorm"
            )
        affine = layer(*sizes, bias=norm is None)  # BatchNorm brings its own shift
        for name, parameter in affine.named_parameters():
            nn.init.zeros_(parameter) if name == "bias" else nn.init.xavier_uniform_(parameter)
        return _stack(affine, norm(sizes[1]) if norm else None, activate)

    return build


def _stack(layer: nn.Module, norm: nn.Module | None, activate: bool) -> nn.Module:
    modules = [layer, norm, nn.ReLU(inplace=True) if activate else None]
    return nn.Sequential(*(module for module in modules if module is not None))


FAMILIES = {
    family.name: family
    for family in [
        Family(
            "cwa",
            "excitatory and inhibitory conductances, no normalization layer (paper eq. 6)",
            _cwa(cnn.CWALinear),
            _cwa(cnn.CWAConv2d),
            "scaled",
            "mean",
            averages=True,
        ),
        Family(
            "cwa_li",
            "the same, with interneurons for lateral inhibition in each layer (paper section 4.4)",
            _cwa_li(cnn.LateralLinear, cnn.CWALinear),
            _cwa_li(cnn.LateralConv2d, cnn.CWAConv2d),
            "scaled",
            "mean",
            averages=True,
        ),
        Family(
            "cwa_bn",
            "cwa with BatchNorm before each rectification",
            _cwa_bn(cnn.CWALinear, nn.BatchNorm1d),
            _cwa_bn(cnn.CWAConv2d, nn.BatchNorm2d),
            "scaled",
            "mean",
        ),
        Family(
            "affine",
            "ordinary weights and biases, no normalization",
            _affine(nn.Linear, None),
            _affine(nn.Conv2d, None),
            "scaled",
            "sum",
        ),
        Family(
            "affine_bn",
            "ordinary weights with BatchNorm, whitened input",
            _affine(nn.Linear, nn.BatchNorm1d),
            _affine(nn.Conv2d, nn.BatchNorm2d),
            "whitened",
            "sum",
        ),
        Family(
            "absnorm",
            "signed weights, divided by their total size (paper section 4.4)",
            _absnorm(cnn.AbsNormLinear),
            _absnorm(cnn.AbsNormConv2d),
            "scaled",
            "mean",
            averages=True,
        ),
    ]
}


@checked
def get_family(name: str) -> Family:
    """A family by its name.

    Raises:
        UnknownNameError: no such family; names the nearest.
    """
    if name not in FAMILIES:
        raise UnknownNameError("layer family", name, FAMILIES)
    return FAMILIES[name]
