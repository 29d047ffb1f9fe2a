"""A circuit as a person describes it: inputs, populations, projections."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from conductance.biophysics import LEAK, PotentialRange
from conductance.biophysics.rescaling import DEFAULT_RANGE
from conductance.checked import checked
from conductance.circuits import assembly, order
from conductance.circuits.coding import Coding, require_coding
from conductance.circuits.network import CircuitNetwork
from conductance.circuits.neurons import (
    GateKind,
    InputNeurons,
    PopulationNeurons,
    Reversal,
    gate_of,
    names_of,
    rescaled,
    time_constant,
    valence_of,
)
from conductance.circuits.places import Places, places
from conductance.circuits.projection import Projection
from conductance.circuits.quantities import is_not_negative, is_positive
from conductance.circuits.rules import Dense, Rule
from conductance.errors import InputError, UnknownNameError
from conductance.nn.unroll import check_unrolling
from conductance.nonnegative import NonnegativeForm, require_form
from conductance.valence import Valences

RESTING_POTENTIAL = LEAK.reversal_potential
THRESHOLD = -50.0  # mV


@dataclass(frozen=True)
class Neurons:
    """What `Circuit.input` and `Circuit.population` return; `Circuit.connect` takes it, or the name."""

    name: str


class Circuit:
    """Populations of neurons and the projections between them.

    ::

        circuit = Circuit()
        x = circuit.input("retina", 784, coding="on_off")
        e = circuit.population("E", 400, reversal="AMPA")
        pv = circuit.population("PV", 50, reversal="GABA-A")
        circuit.connect(x, e)
        circuit.connect(e, pv)
        circuit.connect(pv, [e, pv])
        net = circuit.build(slices=4, readout=10)

    Potentials are in mV. A reversal potential E becomes the valence e on the circuit's range (paper section 2.3); on
    the default one, -100 to 0 mV, AMPA is 1, GABA-A -0.4, GABA-B -0.8, rest (-65 mV) -0.3 and threshold (-50 mV) 0.

    Args:
        potentials: the mV that valences -1 and +1 stand for.
    """

    @checked
    def __init__(self, potentials: PotentialRange = DEFAULT_RANGE) -> None:
        self.potentials = potentials
        self.inputs: dict[str, InputNeurons] = {}
        self.populations: dict[str, PopulationNeurons] = {}
        self.projections: list[Projection] = []

    @checked
    def input(
        self,
        name: str,
        size: int | tuple[int, ...],
        *,
        channels: int | None = None,
        coding: Coding | None = None,
        reversal: Reversal | None = None,
        valence: Valences | float | None = None,
    ) -> Neurons:
        """Add an input: neurons that send the data.

        Args:
            name: by which the circuit knows it.
            size: how many values a sample has, or the grid on which they lie, in one to three dimensions. Samples have
                the shape ``(N, *size)``.
            channels: values at each point of the grid; samples then have the shape ``(N, channels, *size)``.
            coding: None for one neuron for each value, which sends it; "on_off" for two, of which one sends p and the
                other 1 - p; "doubled" for two that send p, of which one excites and the other inhibits.
            reversal: what the neurons do to others: a class of synapses ("AMPA", "GABA-A", "GABA-B") or mV. AMPA by
                default.
            valence: instead of ``reversal``, in [-1, 1]: one number, or one for each neuron.

        Raises:
            InputError: a name that is taken or no name, a size or potential out of range.
            UnknownNameError: no such coding or class of synapses.
        """
        self._check_name(name)
        require_coding(coding)
        where = places(name, size, 1 if channels is None else channels)
        shape = where.grid if channels is None else (channels, *where.grid)
        neurons = where if coding is None else Places(where.grid, 2 * where.channels)
        if coding == "doubled":
            if reversal is not None or valence is not None:
                raise InputError(
                    f"{name}: a doubled input has one copy that excites and one that inhibits; leave "
                    "reversal and valence out"
                )
            valence = [1.0] * where.units + [-1.0] * where.units
        elif reversal is None and valence is None:
            reversal = "AMPA"
        e = valence_of(name, neurons, reversal, valence, self.potentials)
        self.inputs[name] = InputNeurons(name, neurons, shape, coding, e)
        return Neurons(name)

    @checked
    def population(
        self,
        name: str,
        size: int | tuple[int, ...],
        *,
        channels: int = 1,
        reversal: Reversal | None = None,
        valence: Valences | float | None = None,
        resting_potential: float = RESTING_POTENTIAL,
        resting_conductance: float | None = None,
        learn_resting: bool = False,
        gate: GateKind = "rectified",
        threshold: float = THRESHOLD,
        width: float | None = None,
        learn_gate: bool = False,
        pooled_interneuron: bool = False,
        tau_membrane: float | None = None,
        tau_synapse: float | None = None,
        nonnegative: NonnegativeForm = "clamped",
    ) -> Neurons:
        r"""Add a population: neurons that average all that is projected onto them (paper eq. 1).

        Args:
            name: by which the circuit knows it.
            size: how many neurons, or the grid on which they lie, in one to three dimensions.
            channels: neurons at each point of the grid.
            reversal: what the neurons do to others: a class of synapses ("AMPA", "GABA-A", "GABA-B") or mV. AMPA by
                default.
            valence: instead of ``reversal``, in [-1, 1]: one number, or one for each neuron.
            resting_potential: of the leak, mV.
            resting_conductance: of the leak, >= 0, in units of a synapse's mean conductance at the start; by default a
                hundredth of what all of a neuron's synapses have together, or as much as they have if none inhibits.
            learn_resting: let each neuron learn its leak.
            gate: "rectified" for :math:`p = \min(\max((V - E_{th})/k, 0), 1)`, "logistic" for
                :math:`p = 1/(1 + e^{-(V - E_{th})/k})`.
            threshold: E_th, mV.
            width: k, mV, > 0. By default the rectified gate is all open at the top of the range, and k of the logistic
                one is 5 mV.
            learn_gate: let each neuron learn its threshold and width.
            pooled_interneuron: let one further neuron sit at the mean potential of the population (of its channels, at
                each point, where its projections are convolutions) and act back on all of it, see
                `functional.pooled_interneuron`. Membranes that take time meet it one slice later: it then sits at the
                mean of their V in the slice before.
            tau_membrane: C/G_r in ms: how slow a membrane is that has its leak alone; open synapses make it faster.
                None for the steady state in each slice.
            tau_synapse: in ms, how slowly the population's synapses open and close; None for at once.
            nonnegative: how conductances stay >= 0, as in layers.

        Raises:
            InputError: a name that is taken or no name, a size, potential or time constant out of range.
            UnknownNameError: no such gate or class of synapses.
        """
        self._check_name(name)
        where = places(name, size, channels)
        if reversal is None and valence is None:
            reversal = "AMPA"
        if resting_conductance is not None and not is_not_negative(resting_conductance):
            raise InputError(f"{name}: resting_conductance={resting_conductance} must be finite and not negative")
        if tau_membrane is not None and resting_conductance == 0:
            raise InputError(f"{name}: tau_membrane is C/G_r, so resting_conductance must be above 0")
        self.populations[name] = PopulationNeurons(
            name,
            where,
            valence_of(name, where, reversal, valence, self.potentials),
            {
                "resting_potential": rescaled(name, "resting_potential", resting_potential, self.potentials),
                "resting_conductance": resting_conductance,
                "learn_resting": learn_resting,
                "nonnegative": require_form(nonnegative),
            },
            gate_of(name, gate, threshold, width, learn_gate, self.potentials),
            time_constant(name, "tau_membrane", tau_membrane),
            time_constant(name, "tau_synapse", tau_synapse),
            _pooled(name, where, pooled_interneuron),
        )
        return Neurons(name)

    @checked
    def connect(
        self,
        source: Neurons | str,
        target: Neurons | str | Sequence[Neurons | str],
        *,
        rule: Rule | None = None,
        delay: int | None = None,
        plastic: bool = True,
        conductance: float | None = None,
    ) -> None:
        """Add a projection from a source onto one or several targets, an own one for each.

        Args:
            source: an input or a population.
            target: a population, or several.
            rule: which synapses there are; all by default. Rules combine with ``&``.
            delay: in time slices: 0 for what the source sends in the same slice, 1 for what it sent in the slice
                before, and so on. By default 0 if the source was added before the target, otherwise 1.
            plastic: False for synapses that no optimizer moves.
            conductance: of every synapse of the projection at the start, >= 0; by default drawn (`nn.start`).

        Raises:
            UnknownNameError: there is no such population.
            InputError: a negative delay, a target that is an input, or the same projection twice.
        """
        source = self._known(source, {**self.inputs, **self.populations})
        targets = names_of(target)
        if not targets:
            raise InputError(f"{source} -> nothing: name one target or more")
        for each in targets:
            name = self._known(each, {**self.inputs, **self.populations})
            if name in self.inputs:
                raise InputError(f"{source} -> {name}: {name} is an input; nothing projects onto it")
            self._add(Projection(source, name, rule or Dense(), self._delay(source, name, delay), plastic, conductance))

    def _add(self, projection: Projection) -> None:
        projection.check()
        key = (projection.source, projection.target, projection.delay)
        if key in {(other.source, other.target, other.delay) for other in self.projections}:
            raise InputError(
                f"{projection} with delay {projection.delay} is there already; combine rules with &, or "
                "choose another delay"
            )
        self.projections.append(projection)

    def _delay(self, source: str, target: str, delay: int | None) -> int:
        if delay is not None:
            return delay
        names = [*self.inputs, *self.populations]
        return 0 if source in self.inputs or names.index(source) < names.index(target) else 1

    @checked
    def build(
        self,
        *,
        slices: int = 1,
        tolerance: float | None = None,
        readout: nn.Module | int | None = None,
        outputs: Neurons | str | Sequence[Neurons | str] | None = None,
        slice_duration: float = 1.0,
        truncation: int | None = None,
        checkpoint: int | None = None,
        settle: bool = True,
    ) -> CircuitNetwork:
        """Make the network; rules that draw synapses do it now, with torch's generator.

        Args:
            slices: time slices for a static input, or for each element of a sequence.
            tolerance: for a static input, stop before where no open probability changes by more from one slice to the
                next; None for never. (A choice by values: `torch.compile` cannot see through it in one graph.)
            readout: what reads the outputs, a module that takes (N, units) or (N, time, units); a number stands for
                ``nn.Linear`` with so many outputs. None for the open probabilities themselves.
            outputs: the populations that are read; by default those at the end: populations from which no path leads
                to others that none leads back from, and of these the excitatory ones if there are any.
            slice_duration: of one slice, in ms; what the time constants are compared with.
            truncation: let gradients go back through at most so many slices (elements of a sequence).
            checkpoint: keep only every so many slices' (elements') state for the backward pass, and compute the rest
                again: less memory for about a third more time.
            settle: weaken projections that close loops, where need be, until slices come to rest (`init.settle_`, on
                inputs of noise). False leaves all conductances as they were drawn.

        Raises:
            InputError: projections without delay form a circle; nothing reaches a population, or it reaches no output;
                a neuron has no synapse; grids do not fit; a number is out of range.
        """
        self._check_numbers(slices, tolerance, slice_duration)
        check_unrolling(truncation, checkpoint)
        edges = [(each.source, each.target) for each in self.projections]
        at_once = [(each.source, each.target) for each in self.projections if each.delay == 0]
        in_order = order.feed_forward_order(list(self.populations), at_once)
        read = self._outputs(outputs, edges)
        self._check_paths(read, edges)
        return assembly.assemble(
            self.inputs,
            [self.populations[name] for name in in_order],
            self.projections,
            read,
            readout,
            self.potentials,
            slice_duration=slice_duration,
            slices=slices,
            tolerance=tolerance,
            truncation=truncation,
            checkpoint=checkpoint,
            settled=settle,
        )

    def _outputs(self, outputs: Neurons | str | Sequence[Neurons | str] | None, edges: list[order.Edge]) -> list[str]:
        if outputs is not None:
            read = [self._known(each, self.populations) for each in names_of(outputs)]
            if not read or len(set(read)) < len(read):
                raise InputError(f"outputs={read}: name one population or more, each once")
            return read
        last = order.ends(list(self.populations), edges)
        excitatory = [name for name in last if bool((self.populations[name].valence > 0).any())]
        return excitatory or last

    def _check_paths(self, read: list[str], edges: list[order.Edge]) -> None:
        if not self.inputs or not self.populations:
            raise InputError("the circuit needs at least one input and one population; add them before build")
        from_inputs = order.reached(self.inputs, edges)
        to_outputs = order.reached(read, [(target, source) for source, target in edges])
        for name in self.populations:
            if name not in from_inputs:
                raise InputError(f"no path leads from an input to population {name!r}; connect something to it")
        for name in (*self.inputs, *self.populations):
            if name not in to_outputs:
                raise InputError(
                    f"no path leads from {name!r} to what is read ({', '.join(read)}); connect it, leave it out, or "
                    "name it in outputs"
                )

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name or "." in name or hasattr(nn.ModuleDict(), name):
            raise InputError(f"{name!r} cannot be a population's name; give a word without dots")
        if name in self.inputs or name in self.populations:
            raise InputError(f"the circuit has {name!r} already; give another name")

    @staticmethod
    def _known(neurons: object, known: dict) -> str:
        name = neurons.name if isinstance(neurons, Neurons) else neurons
        if not isinstance(name, str) or name not in known:
            raise UnknownNameError("population", name, known)
        return name

    @staticmethod
    def _check_numbers(slices: int, tolerance: float | None, duration: float) -> None:
        if not (isinstance(slices, int) and slices >= 1):
            raise InputError(f"slices={slices}: give a whole number of time slices, 1 or more")
        if tolerance is not None and not is_not_negative(tolerance):
            raise InputError(f"tolerance={tolerance}: give a finite number, 0 or more")
        if not is_positive(duration):
            raise InputError(f"slice_duration={duration} ms: must be above 0")


def _pooled(name: str, where: Places, pooled_interneuron: bool) -> bool:
    """Whether the population has a pooled interneuron.

    Raises:
        InputError: it is a single neuron.
    """
    if pooled_interneuron and where.units < 2:
        raise InputError(f"{name}: pooled_interneuron=True, but a single neuron is its own mean; leave it out")
    return pooled_interneuron
