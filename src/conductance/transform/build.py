"""The changes of a plan, made to a model."""

import warnings
from typing import Any

from torch import Tensor, nn

from conductance.errors import InputError
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.inputs import ScaledInput, SignedInput
from conductance.transform.plan import Plan, PlannedLayer
from conductance.transform.survey import CONVERTED


def carry_out(model: nn.Module, plan: Plan) -> nn.Module:
    """Put layers of conductances, and identities, into a model; returns it, or what takes its own place."""
    modules = dict(model.named_modules())
    for name in plan.not_in_place:
        modules[name].inplace = False
    for name in (*plan.dropped, *plan.fused):
        model = replace(model, modules[name], nn.Identity())
    for name, layer in plan.layers.items():
        model = replace(model, modules[name], with_input(layer, modules[name]))
    return model


def replace(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put a module in the place of another, under all names that it has."""
    new.train(old.training)
    if model is old:
        return new
    for holder in list(model.modules()):
        for name, part in holder._modules.items():
            if part is old:
                holder._modules[name] = new
    return model


def with_input(planned: PlannedLayer, old: nn.Module) -> nn.Module:
    """The layer of conductances in place of an affine one, with what fits its input to it."""
    low, high = planned.reads
    bound = max(-low, high) if planned.reads.finite else 1.0  # one that is not known is set on the example
    if low < 0:
        return SignedInput(convert_layer(planned, old, copies=2, doubled=True), bound, grows=not planned.reads.finite)
    layer = convert_layer(planned, old)
    return layer if high <= 1 else ScaledInput(layer, bound, grows=not planned.reads.finite)


def convert_layer(
    planned: PlannedLayer, old: nn.Module, copies: int = 1, doubled: bool | None = None
) -> ConductanceLayer:
    """A layer of conductances of the size of an affine one.

    Args:
        planned: what it is to be.
        old: the affine layer.
        copies: how many channels stand for one of the old layer's.
        doubled: whether each of them is read as an excitatory and an inhibitory copy.

    Raises:
        InputError: the layer does not take its options.
    """
    weight = old.weight
    assert isinstance(weight, Tensor)
    options: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
    options |= {"activation": "relu" if planned.rectified else None}
    options |= {} if doubled is None else {"doubled_input": doubled}
    options |= planned.options
    if "valence" in options or "excitatory_share" in options:
        options.pop("doubled_input", None)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "all .* presynaptic channels are")  # until it is known who feeds it
            layer = CONVERTED[type(old)](*_sizes(old, copies), **options)
    except TypeError as error:
        unknown = str(error).rpartition("argument ")[2]
        raise InputError(
            f"{planned.name}: layers have no option {unknown}; see {CONVERTED[type(old)].__name__}"
        ) from None
    if planned.copied:
        return_copies(layer)
    return layer


def _sizes(old: nn.Module, copies: int) -> tuple[Any, ...]:
    if isinstance(old, nn.Linear):
        return old.in_features * copies, old.out_features
    assert isinstance(old, nn.modules.conv._ConvNd)
    geometry = (old.kernel_size, old.stride, old.padding, old.dilation, old.groups)
    return old.in_channels * copies, old.out_channels, *geometry


def return_copies(layer: nn.Module) -> None:
    """For code that writes into what an affine layer returns; a layer of conductances needs that when it learns."""
    layer.register_forward_hook(_copy_output)


def returns_copies(layer: nn.Module) -> bool:
    """Whether `return_copies` was called on a layer."""
    return _copy_output in layer._forward_hooks.values()


def _copy_output(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    del module, args
    return output.clone()


def inner(module: nn.Module) -> ConductanceLayer:
    """The layer of conductances itself."""
    layer = module.layer if isinstance(module, ScaledInput) else module
    assert isinstance(layer, ConductanceLayer)
    return layer
