"""Which layers of a network can become layers of conductances, and why the others cannot."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from conductance.errors import InputError
from conductance.nn import CWAConv1d, CWAConv2d, CWAConv3d, CWALinear
from conductance.nn.base import AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.transform.recording import CALL, DATA, Recording, Value

Choice = bool | Mapping[str, Any]
Select = Callable[[str, nn.Module], Choice]
Keep = Sequence[str | type[nn.Module]]

LAST_LINEAR = "last_linear"

CONVERTED: dict[type[nn.Module], type[ConductanceLayer]] = {
    nn.Linear: CWALinear,
    nn.Conv1d: CWAConv1d,
    nn.Conv2d: CWAConv2d,
    nn.Conv3d: CWAConv3d,
}
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_AFFINE = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
# Modules of torch that read the weights of layers within them by themselves.
_READS_WEIGHTS = (nn.MultiheadAttention,)
NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
)
# Products of two activations, as attention takes them.
_PRODUCTS = frozenset(
    (
        "bmm", "baddbmm", "mm", "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_attention_math", "scaled_dot_product_attention",
    )
)  # fmt: skip

# Products of an activation with weights that a module holds itself, as nn.MultiheadAttention does.
_BY_WEIGHTS = frozenset(("addmm", "mm", "linear", "baddbmm", "bmm"))


@dataclass(frozen=True)
class Kept:
    """A layer that is left as it is.

    Attributes:
        name: in the model.
        kind: the name of its class.
        reason: why.
        remedy: what would make it convertible; empty where it was kept by choice.
    """

    name: str
    kind: str
    reason: str
    remedy: str = ""


@dataclass
class Survey:
    """The layers to convert, in the order in which they run, and those that are kept.

    Attributes:
        layers: each with the options that `select` gave for it.
        kept: the others.
    """

    layers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)


def recorded_whole(model: nn.Module) -> list[nn.Module]:
    """The modules whose calls count as one step: layers, norms that may be dropped, and layers of conductances."""
    kinds = (*CONVERTED, AveragingLayer)
    return [part for part in model.modules() if isinstance(part, kinds) or is_norm(part)]


def is_norm(module: nn.Module) -> bool:
    """Whether it normalizes channels and does nothing else."""
    return isinstance(module, NORMS) and type(module).__module__.startswith("torch.nn.")


def survey(model: nn.Module, recording: Recording, select: Select | None, keep: Keep) -> Survey:
    """Find out what can be converted.

    Raises:
        InputError: an entry of ``keep`` that no module answers to, or an answer of ``select`` that is none.
    """
    found = Survey()
    modules = dict(model.named_modules())
    _require_known(keep, modules)
    called = dict.fromkeys(value.module for value in recording.values if value.op == CALL)
    readouts = _readouts(recording, modules) if LAST_LINEAR in keep else set()
    attention = _attention(recording, modules)
    tied = _tied(model)
    names = [*(name for name in called if name in modules), *(name for name in modules if name not in called)]
    for name in names:
        module = modules[name]
        if not isinstance(module, _AFFINE + _TRANSPOSED) or isinstance(module, AveragingLayer):
            continue
        chosen = True if select is None else _choice(select, name, module)
        by_hand = isinstance(chosen, Mapping)
        if chosen is False:
            reason: tuple[str, str] | None = ("select did not choose it", "")
        elif (entry := _kept_by(keep, name, modules)) is not None:
            reason = (f"keep has {entry}", "")
        else:
            reason = _obstacle(name, module, modules, called, recording, tied)
            if reason is None and name in readouts and not by_hand:
                reason = ("a readout: no other layer follows", "")
            if reason is None and name in attention and not by_hand:
                reason = ("attention multiplies its output", "have select return options for it, {} for none")
        if reason is None:
            found.layers[name] = chosen if isinstance(chosen, Mapping) else {}
        else:
            found.kept.append(Kept(name, type(module).__name__, *reason))
    return found


def _obstacle(
    name: str,
    module: nn.Module,
    modules: Mapping[str, nn.Module],
    called: Collection[str],
    recording: Recording,
    tied: Mapping[str, str],
) -> tuple[str, str] | None:
    """Why a layer cannot be converted, and the remedy."""
    kind = type(module)
    inside = next((modules[outer] for outer in outer_names(name) if isinstance(modules[outer], _READS_WEIGHTS)), None)
    if inside is not None:
        return (
            f"{type(inside).__name__} reads its weights by itself",
            "write that block with Linear layers that it calls",
        )
    if isinstance(module, _TRANSPOSED):
        return "transposed convolutions have no layer of conductances", "nn.Upsample, then a convolution"
    if isinstance(module, LazyModuleMixin):  # once it has run, it is of the class that it stands for
        return "its sizes are not known before it has run", "run the model on a batch first"
    if parametrize.is_parametrized(module):
        return "its weight is parametrized", "remove the parametrization first (torch.nn.utils.parametrize)"
    if kind not in CONVERTED:
        return f"no layer of conductances stands for {kind.__name__}", "use nn.Linear or a convolution of torch"
    if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
        return "it has hooks or a forward of its own", "remove them, convert, and put them on again"
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return f"padding_mode={module.padding_mode!r}", "pad by torch.nn.functional.pad, and choose padding=0"
    if isinstance(module.weight, nn.Parameter) and module.weight[0].numel() == 1:
        return "each unit reads one number, and the average of one number says nothing", "read several"
    if name in tied:
        return f"it shares its parameters with {tied[name]}", "give it parameters of its own"
    if name in recording.read_outside:
        return "other code reads its parameters", "call the layer instead"
    if name not in called:
        return "it does not run on the example", "give an example on which it does"
    return None


def outer_names(name: str) -> list[str]:
    """The names of the modules that a module lies in, from the outermost, ``""``, inwards."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts))] if name else []


def _choice(select: Select, name: str, module: nn.Module) -> Choice:
    if not callable(select):
        raise InputError(f"select={select!r}: give a function of a layer's name and module, or names to keep")
    answer = select(name, module)
    if isinstance(answer, (bool, Mapping)):
        return answer
    raise InputError(f"select({name!r}) returned {answer!r}; return True, False or a dictionary of the layer's options")


def _require_known(keep: Keep, modules: Mapping[str, nn.Module]) -> None:
    if isinstance(keep, (str, type)):
        raise InputError(f"keep={keep!r}: give a tuple of names, patterns or types, such as ({keep!r},)")
    for entry in keep:
        if not isinstance(entry, (str, type)):
            raise InputError(f"keep has {entry!r}; give names, patterns or types of modules")
        if entry != LAST_LINEAR and not any(_answers(entry, name, module) for name, module in modules.items()):
            raise InputError(f"keep has {entry!r}, which is no module's name, pattern or type in this model")


def _kept_by(keep: Keep, name: str, modules: Mapping[str, nn.Module]) -> str | None:
    """The entry of ``keep`` that a module, or one that it lies in, answers to."""
    for entry in keep:
        if any(_answers(entry, each, modules[each]) for each in (*outer_names(name), name) if each or not name):
            return entry if isinstance(entry, str) else entry.__name__
    return None


def _answers(entry: str | type[nn.Module], name: str, module: nn.Module) -> bool:
    return fnmatchcase(name, entry) if isinstance(entry, str) else isinstance(module, entry)


def _tied(model: nn.Module) -> dict[str, str]:
    """For modules that hold a parameter that another one holds too, the name of that one."""
    holders: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append(name)
    return {
        name: next((other for other in names if other != name), name)
        for names in holders.values()
        if len(names) > 1
        for name in names
    }


# The flow of data -----------------------------------------------------------------------------------------------------


def _readouts(recording: Recording, modules: Mapping[str, nn.Module]) -> set[str]:
    """Layers behind which no other layer comes, on the way to what the model returns."""

    def is_layer(value: Value) -> bool:
        return value.op == CALL and not is_norm(modules[value.module])

    reaches_layer: set[Value] = set()
    reaches_output: set[Value] = set()
    for value in reversed(recording.values):
        if value.is_output or any(reader in reaches_output for reader in value.readers):
            reaches_output.add(value)
        if any(reader in reaches_layer or is_layer(reader) for reader in value.readers):
            reaches_layer.add(value)
    last = {value.module for value in reaches_output - reaches_layer if is_layer(value)}
    return last - {value.module for value in reaches_layer if is_layer(value)}


def _attention(recording: Recording, modules: Mapping[str, nn.Module]) -> set[str]:
    """Layers whose output goes into a matrix product with other activations: queries, keys and values."""
    live = {value for value in recording.values if value.op == DATA}
    for value in recording.values:
        if any(each in live for each in value.inputs):
            live.add(value)
    found: set[str] = set()
    for value in recording.values:
        if value.name in _PRODUCTS and sum(each in live for each in value.inputs) > 1:
            waiting = list(value.inputs)
            while waiting:
                each = waiting.pop()
                if each.op == CALL and not is_norm(modules[each.module]):
                    found.add(each.module)
                elif not (each.name in _BY_WEIGHTS and sum(other in live for other in each.inputs) == 1):
                    waiting += each.inputs
    return found
