"""Which layers of a network are its readout: they have no units behind them and move like biases and leaks do."""

import warnings
from typing import Any

from torch import nn

from conductance.errors import InputError
from conductance.nn import ConductanceLayer, SignedLayer
from conductance.optim.flow import data_flow

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*AFFINE, ConductanceLayer, SignedLayer)

# Where networks usually keep their last layer: this package's, torchvision's, timm's and Hugging Face's.
CONVENTIONAL_NAMES = ("fc", "head", "classifier")


def readout_layers(model: nn.Module, readout: nn.Module | str | None = None, example: Any = None) -> set[nn.Module]:
    """The layers that turn the activity of the last units into the network's output.

    The first of these that applies decides:

    1. ``readout``: all layers of that module;
    2. ``example``: the affine layers whose output reaches the model's output with no other layer with weights behind
       them, as one forward pass shows (`flow.data_flow`);
    3. ``model.readout``: all affine layers of it;
    4. ``model.fc``, ``model.head`` or ``model.classifier``: the last affine layer of it;
    5. in ``nn.Sequential``, the last layer, if it is affine; in any other module, the affine layer that was defined
       last.

    Wrappers such as ``DataParallel`` are looked through for 3 to 5.

    Raises:
        InputError: ``readout`` is not a module of ``model``, or contains no layer.
    """
    if readout is not None:
        return _named(model, readout)
    if example is not None:
        return {layer for layer in data_flow(model, example).outputs if isinstance(layer, AFFINE)}
    model = _unwrapped(model)
    own = getattr(model, "readout", None)
    if isinstance(own, nn.Module):
        return set(_affine(own))
    for name in CONVENTIONAL_NAMES:
        layers = _affine(getattr(model, name, None))
        if layers:
            return {layers[-1]}
    return _last_defined(model)


def _named(model: nn.Module, readout: nn.Module | str) -> set[nn.Module]:
    modules = dict(_unwrapped(model).named_modules()) | dict(model.named_modules())
    if isinstance(readout, str) and readout not in modules:
        raise InputError(f"readout={readout!r}: the model has no module of that name")
    module = modules[readout] if isinstance(readout, str) else readout
    if module not in modules.values():
        raise InputError(f"readout={type(module).__name__}(...): this is no module of the model")
    layers: set[nn.Module] = {layer for layer in module.modules() if isinstance(layer, LAYERS)}
    if not layers:
        raise InputError(f"readout={type(module).__name__}(...): there is no linear layer or convolution in it")
    return layers


def _last_defined(model: nn.Module) -> set[nn.Module]:
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    affine = [layer for layer in layers if isinstance(layer, AFFINE)]
    if not affine:
        return set()
    if affine[-1] is not layers[-1]:
        if type(model).forward is nn.Sequential.forward:
            return set()
        warnings.warn(
            f"the affine layer defined last, {affine[-1]}, is taken for the readout, but a layer of units is defined "
            "after it; name the readout (readout=...), or pass an input of the model (example=...) to find it",
            stacklevel=4,
        )
    return {affine[-1]}


def _affine(module: Any) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, AFFINE)] if isinstance(module, nn.Module) else []


def _unwrapped(model: nn.Module) -> nn.Module:
    while not any(hasattr(model, name) for name in ("readout", *CONVENTIONAL_NAMES)):
        for name in ("module", "_orig_mod"):  # DataParallel and its like, torch.compile
            inner = getattr(model, name, None)
            if isinstance(inner, nn.Module):
                model = inner
                break
        else:
            break
    return model
