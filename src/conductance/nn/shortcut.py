"""Where a residual block's shortcut joins its second layer."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules import module as of_all

from conductance.eager import eager


def mean_with_shortcut(layer: nn.Module, p: Tensor, shortcut: Callable[[], Tensor]) -> Tensor:
    """``max((z + shortcut()) / 2, 0)`` with z = ``layer(p)``.

    A layer of one average takes the shortcut into its own pass over memory, unless somebody looks at its z by a hook,
    or records or transforms operations: then the mean is taken outside of it, as for any other layer.

    Args:
        layer: gives z in [-1, 1].
        p: what it reads.
        shortcut: gives a tensor of the shape of z; called last, as it is written, unless the layer takes it in.
    """
    if isinstance(p, Proxy) or not (getattr(layer, "takes_shortcut", False) and eager()) or _is_watched(layer):
        return (layer(p) + shortcut()).mul_(0.5).relu_()
    joined: Tensor = layer(p, shortcut=shortcut())
    return joined


def _is_watched(layer: nn.Module) -> bool:
    """Whether anything sees or changes what the layer is given or returns, but for the optimizer's own hooks."""
    before = any(not getattr(hook, "while_training", False) for hook in layer._forward_pre_hooks.values())
    after = layer._forward_hooks or layer._backward_hooks or layer._backward_pre_hooks or "forward" in vars(layer)
    return bool(before or after or of_all._has_any_global_hook())
