"""One call that turns the affine layers of a network into layers of conductances."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.finite import require_finite
from conductance.nested import tensors_of
from conductance.nn.modes import require_module
from conductance.transform.build import carry_out
from conductance.transform.chain import chain
from conductance.transform.finish import finish
from conductance.transform.plan import Activations, Normalization, Plan, make_plan
from conductance.transform.recording import let_lazy_layers_run, record
from conductance.transform.report import Conversion
from conductance.transform.survey import LAST_LINEAR, Keep, Kept, Select, Survey, recorded_whole, survey

SignedInputs = Literal["double", "error"]

# A loader's batches are joined until there are so many samples.
_SAMPLES = 512


@checked
def convert(
    model: nn.Module,
    example: Any = None,
    *,
    select: Select | None = None,
    keep: Keep = (LAST_LINEAR,),
    normalization: Normalization = "drop",
    signed_input: SignedInputs = "double",
    activations: Activations = "fuse",
    inplace: bool = False,
    **layer_options: Any,
) -> Conversion:
    """Turn the linear layers and convolutions of any network into layers of conductances.

    >>> report = conductance.convert(model, images)  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    >>> model = report.model  # doctest: +SKIP

    Weights are not carried over: conductances start anew, excitation and inhibition balanced on the example, at the
    size of torch's own start, so that the learning rates of affine networks fit. The network is then to be trained:
    conductances require gradients also where the weights that they stand for were frozen.

    The example runs through the original, in evaluation mode, and every operation is recorded. From that follows who
    feeds whom, and between which bounds each layer's input lies whatever the data. In the result every converted layer
    reads open probabilities in [0, 1]: an input between 0 and a bound is divided by it (`nn.ScaledInput`; a residual
    sum is so read by its mean), one that may be negative is read as two (`nn.SignedInput`). A bound that does not
    follow from the structure, behind a LayerNorm for example, is the largest size seen, and grows while the network is
    trained. Layers that read units of other converted layers take their valences; those that read data, affine layers
    or units of both kinds at once read each channel twice (``doubled_input``).

    Without an example only the order of an ``nn.Sequential`` is known; data are then taken to lie in [0, 1], and layers
    whose input has no known bounds are left alone.

    Args:
        model: any module. It is left as it was, unless ``inplace``.
        example: input of the model: a tensor or array; a tuple of them or a dictionary of arguments; or a loader of
            batches, whose labels are left out. Some hundred samples are enough.
        select: called with the name and the module of each layer, returns whether to convert it, or a dictionary of
            options for it. A dictionary, also an empty one, converts it even if it is a readout or part of attention.
        keep: layers to leave alone: names, patterns such as ``"*.shortcut"``, or types; of modules that hold others,
            all within. ``"last_linear"`` are the readouts: layers, linear or not, that no other layer follows.
        normalization: "drop" BatchNorm, InstanceNorm and GroupNorm whose input is in a range without them, or "keep"
            them. LayerNorm is always kept.
        signed_input: "double" layers whose input may be negative: its positive part and the size of its negative part
            are two open probabilities. "error" refuses such layers.
        activations: "fuse" rectification into the layer before it and keep all other activations; "replace" those
            modules by rectification too; or "keep" all, so that layers return membrane potentials.
        inplace: change ``model`` itself.
        **layer_options: of all converted layers, see `nn.CWALinear`.

    Returns:
        The converted network with a line for each layer, converted or not.

    Raises:
        InputError: a model that is no module; no layer can be converted; an example that is empty, holds NaN or that
            the model does not take; a choice, option, name or pattern that does not exist; ``signed_input="error"``
            and a layer that may be given negative values; without an example, a model that is no ``nn.Sequential``.
    """
    require_module(model)
    require_finite(model, "converted")
    _check_choices(normalization=normalization, signed_input=signed_input, activations=activations)
    target = model.get_submodule("_orig_mod") if "_orig_mod" in model._modules else model
    if not inplace:
        target = _copied(target)
    batch = None if example is None else _batch(example)
    if batch is not None:
        let_lazy_layers_run(target, batch)
    recording = chain(target) if batch is None else record(target, batch, recorded_whole(target))
    found = survey(target, recording, select, keep)
    plan = make_plan(target, recording, found, layer_options, normalization, activations)
    if batch is None:
        _leave_unbounded(plan, found, target)
    _require_layers(plan, found)
    if signed_input == "error":
        _refuse_signed(plan)
    if inplace and "" in plan.layers:
        raise InputError("the model is itself the layer to convert, which cannot be done in place; use inplace=False")
    modules = dict(target.named_modules())
    return finish(carry_out(target, plan), batch, recording, found, plan, modules)


def _check_choices(**choices: str) -> None:
    known = {"normalization": Normalization, "signed_input": SignedInputs, "activations": Activations}
    for name, choice in choices.items():
        if choice not in get_args(known[name]):
            raise UnknownNameError(name, choice, get_args(known[name]))


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a model holds
        raise InputError(
            f"{type(model).__name__} cannot be copied ({type(error).__name__}: {error}); convert it with inplace=True"
        ) from None


def _leave_unbounded(plan: Plan, found: Survey, model: nn.Module) -> None:
    """Without an example nobody can say by how much an input is to be scaled."""
    for name, layer in list(plan.layers.items()):
        if not (np.isfinite(layer.reads.low) and np.isfinite(layer.reads.high)):
            kind = type(model.get_submodule(name)).__name__
            found.kept.append(Kept(name, kind, "the range of its input is not known", "give an example"))
            del plan.layers[name], found.layers[name]


def _require_layers(plan: Plan, found: Survey) -> None:
    if plan.layers:
        return
    if not found.kept:
        raise InputError("the model has no layer to convert: none of nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d")
    first = next((kept for kept in found.kept if kept.remedy), found.kept[0])  # rather what can be remedied
    others = f" (and {len(found.kept) - 1} more)" if len(found.kept) > 1 else ""
    remedy = first.remedy or "change select or keep; keep=() converts readouts too"
    raise InputError(f"no layer can be converted: {first.name or 'the model'}{others}: {first.reason}; {remedy}")


def _refuse_signed(plan: Plan) -> None:
    signed = [name for name, layer in plan.layers.items() if layer.reads.low < 0]
    if signed:
        others = f" (and {len(signed) - 1} more)" if len(signed) > 1 else ""
        raise InputError(
            f"{signed[0]}{others} may be given negative values, and signed_input='error'; rectify what comes before, "
            "keep the layer, or choose signed_input='double'"
        )


# Examples -------------------------------------------------------------------------------------------------------------


def _batch(example: Any) -> Any:
    """An example as a model takes it; of a loader, its first batches without their labels."""
    if isinstance(example, (tuple, list, Mapping)) and not example:
        raise InputError("the example is empty; give a batch of the model's input")
    if isinstance(example, (Tensor, np.ndarray, Mapping, tuple, list, str)) or not isinstance(example, Iterable):
        return example
    batches = list(_first_batches(example))
    if not batches:
        raise InputError("the example is a loader without batches")
    if len(batches) == 1 or not all(isinstance(each, Tensor) for each in batches):
        return batches[0]
    return torch.cat([each for each in batches if each.shape[1:] == batches[0].shape[1:]])


def _first_batches(loader: Iterable[Any]) -> Iterator[Any]:
    samples = 0
    for batch in loader:
        yield _without_labels(batch)
        samples += max((len(each) for each in tensors_of(batch) if each.ndim), default=_SAMPLES)
        if samples >= _SAMPLES:
            return


def _without_labels(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return {name: part for name, part in batch.items() if name not in ("labels", "label", "target", "targets")}
    if isinstance(batch, (tuple, list)) and len(batch) == 1:
        return batch[0]
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor) and batch[1].ndim <= 1:
        return batch[0]
    return tuple(batch) if isinstance(batch, list) else batch
