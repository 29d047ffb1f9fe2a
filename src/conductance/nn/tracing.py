"""Layers as single nodes of a graph that ``torch.fx`` records."""

from typing import Any

from torch import nn
from torch.fx import Proxy

from conductance.errors import InputError


def record_call(layer: nn.Module, *args: Any) -> Any:
    """What ``forward`` returns while ``torch.fx.symbolic_trace`` runs: one ``call_module`` node for the whole layer.

    ``torch.fx`` takes only the modules of torch.nn for leaves and would trace into every other one, which fails where
    an operation is chosen by shape or type.

    Args:
        layer: the layer that is called.
        args: its arguments, at least one of them a `torch.fx.Proxy`; None for one that is not given.

    Raises:
        InputError: the layer is the module that is traced, so that no module holds it.
    """
    tracer = next(each for each in args if issubclass(type(each), Proxy)).tracer
    path = tracer.path_of_module(layer)
    if not path:
        raise InputError(
            f"torch.fx records a {type(layer).__name__} as one call, for which some module must hold it; trace "
            "torch.nn.Sequential(layer)"
        )
    given = tuple(each for each in args if each is not None)
    return tracer.create_proxy("call_module", path, given, {})
