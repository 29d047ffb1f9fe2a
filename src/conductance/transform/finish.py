"""The last steps of a conversion: valences, start, a run that checks every range, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from conductance.analysis.observe import Observation, observe
from conductance.analysis.validate import Validation, validate
from conductance.errors import InputError
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.inputs import ScaledInput, SignedInput
from conductance.ranges import Extent, extent
from conductance.transform.build import convert_layer, inner, replace
from conductance.transform.fit import agree_in_turn, agree_on_valences, scale_to_affine, start_on
from conductance.transform.plan import Plan, PlannedLayer
from conductance.transform.recording import CALL, DATA, Recording, Value
from conductance.transform.report import Conversion, Converted
from conductance.transform.survey import Survey, is_norm

# The share of a layer's units that may be dead or saturated without a warning.
_MANY = 0.5


@dataclass
class _Seen:
    """What went in and out of a converted layer in the run that checks it."""

    input: Extent
    output: Extent
    calls: int = 1


def finish(
    model: nn.Module,
    example: Any,
    recording: Recording,
    found: Survey,
    plan: Plan,
    modules: Mapping[str, nn.Module],
) -> Conversion:
    """Give the layers of a converted model their valences and their start, run it once more, and report.

    Args:
        model: with the plan carried out.
        example: what it was recorded on, or None.
        recording: of the original.
        found: what is converted and what is kept.
        plan: what was done.
        modules: the original's, by name.

    Raises:
        InputError: a layer is given or returns what it should not, or runs at other times than the original.
    """
    model = _with_valences(model, example, plan, modules)
    for name, planned in plan.layers.items():
        scale_to_affine(inner(model.get_submodule(name)), leak="resting_conductance" not in planned.options)
    report = Conversion(model, [], found.kept, plan.dropped, plan.fused)
    if example is None:
        report.layers = [_line(layer, model, modules, recording) for layer in plan.layers.values()]
        report.warnings.append("without an example, data are taken to lie in [0, 1], and no range was checked")
        return report
    converted = {name: model.get_submodule(name) for name in plan.layers}
    start_on(model, example, map(inner, converted.values()), _to_be_scaled(plan, converted))
    seen, units, judged = _run(model, example, converted)
    for name, layer in plan.layers.items():
        calls = len(recording.calls(name))
        if name not in seen or seen[name].calls != calls:
            raise InputError(
                f"{name}: it ran {calls} times in the original and {seen[name].calls if name in seen else 0} times "
                "in the converted network, so other code decides by what the layer is; put its name in keep"
            )
        report.layers.append(_line(layer, model, modules, recording, seen[name], units[name], judged))
    report.warnings += [warning for layer in report.layers for warning in _warnings(layer)]
    return report


def _with_valences(model: nn.Module, example: Any, plan: Plan, modules: Mapping[str, nn.Module]) -> nn.Module:
    names = {inner(model.get_submodule(name)): name for name in plan.layers}
    unfit = agree_in_turn(names) if example is None else agree_on_valences(model, example, names)
    for layer in unfit:
        doubled = convert_layer(plan.layers[names[layer]], modules[names[layer]], doubled=True)
        doubled.set_unit_valence(layer.unit_valence)
        model = replace(model, layer, doubled)
    return model


def _to_be_scaled(plan: Plan, converted: Mapping[str, nn.Module]) -> list[ScaledInput]:
    unbounded = [converted[name] for name, layer in plan.layers.items() if not layer.reads.finite]
    return [each for each in unbounded if isinstance(each, ScaledInput)]


def _run(
    model: nn.Module, example: Any, converted: Mapping[str, nn.Module]
) -> tuple[dict[str, _Seen], dict[str, Observation], Validation]:
    """One run in which every range is checked."""
    seen: dict[str, _Seen] = {}

    def look(name: str, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        del module
        given, returned = extent(args[0]), extent(output)
        before = seen.get(name, _Seen(given, returned, 0))
        seen[name] = _Seen(_joined(before.input, given), _joined(before.output, returned), before.calls + 1)

    handles = [module.register_forward_hook(partial(look, name)) for name, module in converted.items()]
    names = {id(inner(module)): name for name, module in converted.items()}
    try:
        with validate(model, most_dead=1.0, most_saturated=1.0) as judged:
            observed = {names.get(id(each.layer), each.name): each for each in observe(model, example)}
    finally:
        for handle in handles:
            handle.remove()
    return seen, observed, judged


def _joined(a: Extent, b: Extent) -> Extent:
    return Extent(min(a.low, b.low), max(a.high, b.high))


# The report -----------------------------------------------------------------------------------------------------------


def _line(
    planned: PlannedLayer,
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    recording: Recording,
    seen: _Seen | None = None,
    units: Observation | None = None,
    judged: Validation | None = None,
) -> Converted:
    module = model.get_submodule(planned.name)
    layer = inner(module)
    known = "" if judged is None else next(name for name, part in model.named_modules() if part is layer)
    return Converted(
        name=planned.name,
        kind=type(layer).__name__,
        units=layer.out_channels,
        reads=_reading(module, planned),
        returns=_returning(layer, planned),
        doubled=layer.doubled_input,
        input=None if seen is None else seen.input,
        output=None if seen is None else seen.output,
        fed_by=tuple(_feeders(recording, planned.name, modules)),
        dead=tuple(judged.dead.get(known, ())) if judged else (),
        saturated=tuple(judged.saturated.get(known, ())) if judged else (),
        balance=None if units is None else _unit_balance(units.excitation, units.inhibition, layer.channel_axis),
    )


def _reading(module: nn.Module, planned: PlannedLayer) -> str:
    if not isinstance(module, ScaledInput):
        return "[0, 1]"
    scale = f"{float(module.scale):.3g}"
    bounds = f"[-{scale}, {scale}]" if isinstance(module, SignedInput) else f"[0, {scale}]"
    return bounds if planned.reads.finite else f"{bounds} as seen"


def _returning(layer: ConductanceLayer, planned: PlannedLayer) -> str:
    what = "z" if layer.activation is None else "p"
    return f"{what}, then {planned.behind}" if planned.behind else what


def _feeders(recording: Recording, name: str, modules: Mapping[str, nn.Module]) -> list[str]:
    """The layers whose output a layer reads, with no other layer between; "data" for the example."""
    found: dict[str, None] = {}
    known: set[Value] = set()
    waiting = [value for call in recording.calls(name) for value in call.inputs]
    while waiting:
        value = waiting.pop()
        if value in known:
            continue
        known.add(value)
        if value.op == DATA:
            found["data"] = None
        elif value.op == CALL and not is_norm(modules[value.module]):
            found[value.module] = None
        else:
            waiting += value.inputs
    return list(found)


def _unit_balance(excitation: Tensor, inhibition: Tensor, axis: int) -> Tensor:
    """Mean E' / mean I' of each unit."""
    E, I = (each.double().movedim(axis, 0).flatten(1).mean(1) for each in (excitation, inhibition))
    return torch.div(E, I)


def _warnings(layer: Converted) -> list[str]:
    found = []
    for what, units in (
        ("open for no sample of the example", layer.dead),
        ("saturated for all samples", layer.saturated),
    ):
        if len(units) > _MANY * layer.units:
            found.append(f"{layer.name}: {len(units)} of {layer.units} units are {what}")
    return found
