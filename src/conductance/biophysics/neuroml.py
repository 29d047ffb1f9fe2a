"""Neurons of a trained network in NeuroML 2, with the gate p = max(z, 0) as a component of LEMS."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conductance.biophysics._checks import Units
from conductance.biophysics.export import PointNeuron, point_neurons
from conductance.biophysics.network import BiophysicalNetwork
from conductance.biophysics.rescaling import PotentialRange
from conductance.checked import checked
from conductance.errors import InputError
from conductance.extras import import_extra
from conductance.files import write_text

GATE = "rectifiedSynapse"
PRESYNAPTIC = "presynaptic"
_DRIVE = "drive"
_DURATION = 200  # ms
_STEP = 0.01  # ms
# A presynaptic neuron follows its current within a tenth of a millisecond.
_PRESYNAPTIC_LEAK = 1.0  # nS
_PRESYNAPTIC_CAPACITANCE = 0.1  # pF
_NEVER = 1000.0  # mV, a threshold that no potential reaches


@checked
def export_neuroml(
    network: BiophysicalNetwork, layer: str, units: Units | None, image: Any, file: str | Path
) -> tuple[Path, Path]:
    """Write units of a layer, as they are while one image is shown, in NeuroML 2.

    Each unit is an ``iafCell`` that never spikes: a capacitance and a leak. A population of presynaptic neurons, each
    held by a current at the potential that opens its synapses as far as the image does, projects onto them. The
    synapses are graded ones, whose gate is a component of LEMS, for NeuroML has no such gate:

        i = weight (1 nS) p (erev - v),   p = min(max((v_pre - threshold) / slope, 0), 1)

    with the threshold in the middle of the potential range and half its width for the slope, so that p = max(z, 0)
    (paper eq. 4); the weight is the conductance in nS.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        units: one number, several, or None for the whole layer; as in the flattened ``(units, *positions)``.
        image: one input of the network, (1, ...), in [0, 1].
        file: where the network is written; ``LEMS_NAME.xml`` beside it has the synapses' parameters and simulates
            200 ms, for example by ``jnml LEMS_NAME.xml``, with a column of volts for each unit in ``NAME.dat``.

    Returns:
        The two files. The first has passed libNeuroML's check against the schema of NeuroML 2.

    Raises:
        UnknownNameError, InputError: as `point_neurons` raises; or there is no unit to write.
        ConductanceError: the extra ``export`` is missing, or a file cannot be written.
    """
    neuroml = import_extra("neuroml", "to write NeuroML", "export")
    file = Path(file)
    if not all(letter.isalnum() or letter == "_" for letter in file.stem):
        raise InputError(f"file={file}: name it with letters, digits and _ alone, as NeuroML names what is in it")
    neurons = point_neurons(network, layer, image, units)
    if not neurons:
        raise InputError(f"units of layer {layer}: give at least one, or None for all")
    reversals = sorted({E for neuron in neurons for *_, E in neuron.synapses}, reverse=True)
    potentials = network.by_name[layer].potentials
    document = _document(neuroml, file.stem, layer, neurons, reversals, potentials)
    document.validate(recursive=True)
    text = io.StringIO()
    import_extra("neuroml.writers", "to write NeuroML", "export").NeuroMLWriter.write(document, text, close=False)
    lems = file.with_name(f"LEMS_{file.stem}.xml")
    write_text(file, text.getvalue())
    write_text(lems, _simulation(file, neurons, reversals, potentials))
    return file, lems


def _document(
    neuroml: Any,
    name: str,
    layer: str,
    neurons: Sequence[PointNeuron],
    reversals: Sequence[float],
    potentials: PotentialRange,
) -> Any:
    opened = {j: p for neuron in neurons for j, _, p, _ in neuron.synapses}
    places = {j: place for place, j in enumerate(sorted(opened))}
    populations = [_population(neuroml, PRESYNAPTIC, PRESYNAPTIC, len(places))] if places else []
    populations += [_population(neuroml, _unit(each), _unit(each), 1) for each in neurons]
    network = neuroml.Network(
        id=name,
        notes=_notes(layer, sorted(opened), neurons[0].origins),
        populations=populations,
        continuous_projections=[_projection(neuroml, each, places, reversals) for each in neurons if each.synapses],
        input_lists=[_inputs(neuroml, opened, places)] if places else [],
    )
    midpoint, half_width = potentials.midpoint, potentials.half_width
    leak, capacitance = _PRESYNAPTIC_LEAK, _PRESYNAPTIC_CAPACITANCE
    drive = neuroml.PulseGenerator(  # times p: the current that holds a presynaptic neuron at threshold + slope p
        id=_DRIVE, delay="0ms", duration="1e9ms", amplitude=f"{_number(half_width * leak)}pA"
    )
    return neuroml.NeuroMLDocument(
        id=name,
        iaf_cells=[
            _cell(neuroml, PRESYNAPTIC, capacitance, leak, midpoint),
            *(
                _cell(neuroml, _unit(each), each.capacitance, each.resting_conductance, each.resting_potential)
                for each in neurons
            ),
        ],
        silent_synapses=[neuroml.SilentSynapse(id="silent")],
        pulse_generators=[drive],
        ComponentType=[_gate(neuroml)],
        networks=[network],
    )


def _gate(neuroml: Any) -> Any:
    """The graded synapse with the rectified gate, as a type of LEMS."""
    opening = "(vpeer - threshold) / slope"
    return neuroml.ComponentType(
        name=GATE,
        extends="baseGradedSynapse",
        description="Graded synapse that opens in proportion to the presynaptic potential above a threshold",
        Property=[neuroml.LEMS_Property(name="weight", dimension="none", default_value=1.0)],
        Parameter=[
            neuroml.Parameter(name="conductance", dimension="conductance"),
            neuroml.Parameter(name="erev", dimension="voltage"),
            neuroml.Parameter(name="threshold", dimension="voltage"),
            neuroml.Parameter(name="slope", dimension="voltage"),
        ],
        Exposure=[neuroml.Exposure(name="i", dimension="current"), neuroml.Exposure(name="p", dimension="none")],
        Requirement=[neuroml.Requirement(name="v", dimension="voltage")],
        InstanceRequirement=[neuroml.InstanceRequirement(name="peer", type="baseGradedSynapse")],
        Dynamics=[
            neuroml.Dynamics(
                DerivedVariable=[neuroml.DerivedVariable(name="vpeer", dimension="voltage", select="peer/v")],
                ConditionalDerivedVariable=[  # i is one too, so that it comes after the p that it reads
                    neuroml.ConditionalDerivedVariable(
                        name="p",
                        dimension="none",
                        exposure="p",
                        Case=[
                            neuroml.Case(condition=f"{opening} .lt. 0", value="0"),
                            neuroml.Case(condition=f"{opening} .gt. 1", value="1"),
                            neuroml.Case(value=opening),
                        ],
                    ),
                    neuroml.ConditionalDerivedVariable(
                        name="i",
                        dimension="current",
                        exposure="i",
                        Case=[neuroml.Case(value="weight * conductance * p * (erev - v)")],
                    ),
                ],
            )
        ],
    )


def _cell(neuroml: Any, name: str, capacitance: float, leak: float, rest: float) -> Any:
    return neuroml.IafCell(
        id=name,
        C=f"{_number(capacitance)}pF",
        leak_conductance=f"{_number(leak)}nS",
        leak_reversal=f"{_number(rest)}mV",
        thresh=f"{_number(_NEVER)}mV",
        reset=f"{_number(rest)}mV",
    )


def _population(neuroml: Any, name: str, component: str, size: int) -> Any:
    at_origin = neuroml.Location(x=0, y=0, z=0)
    instances = [neuroml.Instance(id=place, location=at_origin) for place in range(size)]
    return neuroml.Population(id=name, component=component, size=size, type="populationList", instances=instances)


def _projection(neuroml: Any, neuron: PointNeuron, places: dict[int, int], reversals: Sequence[float]) -> Any:
    connections = [
        neuroml.ContinuousConnectionInstanceW(
            id=number,
            pre_cell=f"../{PRESYNAPTIC}/{places[j]}/{PRESYNAPTIC}",
            post_cell=f"../{_unit(neuron)}/0/{_unit(neuron)}",
            pre_component="silent",
            post_component=_synapse(reversals.index(E)),
            weight=G,
        )
        for number, (j, G, _, E) in enumerate(neuron.synapses)
    ]
    return neuroml.ContinuousProjection(
        id=f"onto_{_unit(neuron)}",
        presynaptic_population=PRESYNAPTIC,
        postsynaptic_population=_unit(neuron),
        continuous_connection_instance_ws=connections,
    )


def _inputs(neuroml: Any, opened: dict[int, float], places: dict[int, int]) -> Any:
    inputs = [
        neuroml.InputW(
            id=place, target=f"../{PRESYNAPTIC}/{place}/{PRESYNAPTIC}", destination="synapses", weight=opened[j]
        )
        for j, place in places.items()
    ]
    return neuroml.InputList(id="image", populations=PRESYNAPTIC, component=_DRIVE, input_ws=inputs)


def _notes(layer: str, numbers: Sequence[int], origins: Sequence[tuple[str, int]]) -> str:
    lines = [f"Units of layer {layer}. Presynaptic neurons, by their place: {' '.join(map(str, numbers))}"]
    lines += [f"Those from number {first} on: {name}" for name, first in origins]
    return ". ".join(lines)


def _simulation(
    file: Path, neurons: Sequence[PointNeuron], reversals: Sequence[float], potentials: PotentialRange
) -> str:
    lines = ["<Lems>", '  <Target component="simulation"/>']
    lines += [f'  <Include file="{name}"/>' for name in ("Cells.xml", "Networks.xml", "Simulation.xml", file.name)]
    for number, E in enumerate(reversals):
        parameters = {"erev": E, "threshold": potentials.midpoint, "slope": potentials.half_width}
        given = " ".join(f'{name}="{_number(value)}mV"' for name, value in parameters.items())
        lines.append(f'  <{GATE} id="{_synapse(number)}" conductance="1nS" {given}/>')
    lines += [
        f'  <Simulation id="simulation" length="{_DURATION}ms" step="{_STEP}ms" target="{file.stem}">',
        f'    <OutputFile id="potentials" fileName="{file.stem}.dat">',
        *(f'      <OutputColumn id="{_unit(each)}" quantity="{_unit(each)}/0/{_unit(each)}/v"/>' for each in neurons),
        "    </OutputFile>",
        "  </Simulation>",
        "</Lems>",
    ]
    return "\n".join([*lines, ""])


def _unit(neuron: PointNeuron) -> str:
    return f"unit{neuron.unit}"


def _synapse(number: int) -> str:
    return f"synapse{number}"


def _number(value: float) -> str:
    """As the schema has it, which knows no plus sign."""
    return repr(float(value)).replace("e+", "e")
