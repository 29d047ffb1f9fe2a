"""What a person may get wrong in a circuit: one clear line each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.analysis import validate
from conductance.biophysics import simulate, to_biophysical
from conductance.circuits import (
    Blocks,
    Circuit,
    Convolution,
    Exponential,
    Gaussian,
    InDegree,
    Mask,
    OneToOne,
    Sparse,
    WithinDistance,
    plot,
)
from conductance.errors import ConductanceError
from conductance.nn import CWARNN, CWALinear


def circuit_of_two():
    circuit = Circuit()
    circuit.connect(circuit.input("x", 4), circuit.population("E", 4))
    circuit.connect("E", circuit.population("I", 2, reversal="GABA-A"))
    return circuit


def loop_of_two():
    circuit = circuit_of_two()
    circuit.connect("I", "E")
    return circuit


def state_of(samples):
    return loop_of_two().build(outputs=["E", "I"]).run(torch.rand(samples, 4)).state


def far_away(circuit):
    circuit.connect("I", "E", delay=10**12)
    return circuit


def simulation():
    return simulate(to_biophysical(CWALinear(4, 2)), torch.rand(2, 4), 2.0)


def message_of(action):
    with pytest.raises(ConductanceError) as caught:
        action()
    return str(caught.value)


def one_line(action):
    message = message_of(action)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda c: c.connect("E", "pyramidal"), "unknown population 'pyramidal'"),
        (lambda c: c.connect("E", "x"), "E -> x: x is an input"),
        (lambda c: c.connect("x", "E"), "projection x -> E with delay 0 is there already"),
        (lambda c: c.connect("I", "E", delay=-1), "projection I -> E: delay=-1; give a whole number"),
        (lambda c: c.connect("I", "E", delay=0.5), "delay=0.5"),
        (lambda c: c.connect("I", "E", rule="sparse"), "rule='sparse'; give a Rule"),
        (lambda c: c.connect("I", "E", conductance=-1.0), "conductance=-1.0; give a finite number"),
        (lambda c: c.population("E", 3), "the circuit has 'E' already"),
        (lambda c: c.population("a.b", 3), "cannot be a population's name"),
        (lambda c: c.population("keys", 3), "cannot be a population's name"),
        (lambda c: c.population("training", 3), "cannot be a population's name"),
        (lambda c: c.population("P", 2.5), "size=2.5; give an integer or a tuple of integers"),
        (lambda c: c.population("P", None), "size=None; give an integer or a tuple of integers"),
        (lambda c: c.connect("x", {"E"}), "give a Neurons, a string or a sequence"),
        (lambda c: c.population("P", 0), "give whole numbers, 1 or more"),
        (lambda c: c.population("P", (2, 2, 2, 2)), "has 4 axes; give one to three"),
        (lambda c: c.population("P", 3, reversal=-120.0), "reversal of -120 mV lies outside the circuit's range"),
        (lambda c: c.population("P", 3, reversal=-0.07), "which looks like volts"),
        (lambda c: c.population("P", 3, reversal="GABA"), "did you mean 'GABA-B' or 'GABA-A'"),
        (lambda c: c.population("P", 3, valence=1.5), r"P: valence must lie in \[-1, 1\]"),
        (lambda c: c.population("P", 3, valence=[1, 1]), "give one number, or one for each of 3 neurons"),
        (lambda c: c.population("P", 3, valence=1, reversal="AMPA"), "give either reversal"),
        (lambda c: c.population("P", 3, resting_potential=5.0), "resting_potential of 5 mV lies outside"),
        (lambda c: c.population("P", 3, resting_conductance=-1.0), "resting_conductance=-1.0"),
        (lambda c: c.population("P", 3, gate="step"), "unknown gate 'step'"),
        (lambda c: c.population("P", 3, width=0.0), "width=0.0 mV"),
        (lambda c: c.population("P", 3, tau_membrane=0.0), "tau_membrane=0.0 ms"),
        (lambda c: c.population("P", 3, tau_membrane=5.0, resting_conductance=0.0), "must be above 0"),
        (lambda c: c.input("y", 3, coding="onoff"), "unknown coding 'onoff'"),
        (lambda c: c.input("y", 3, coding="doubled", reversal="AMPA"), "leave reversal and valence out"),
        (lambda c: c.build(slices=0), "slices=0"),
        (lambda c: c.build(tolerance=-1.0), "tolerance=-1.0"),
        (lambda c: c.build(slice_duration=0.0), "slice_duration=0.0"),
        (lambda c: c.build(truncation=0), "truncation=0"),
        (lambda c: c.build(outputs="pyramidal"), "unknown population 'pyramidal'"),
        (lambda c: c.connect("x", []), "name one target or more"),
        (lambda c: c.build(outputs=[]), "name one population or more"),
        (lambda c: c.build(outputs=["E", "E"]), "each once"),
        (lambda c: c.build(readout=torch.nn.Linear(10, 10)), "Linear reads 10 values, but the outputs have 2 neurons"),
        (lambda c: c.build(readout=torch.nn.Sequential(torch.nn.Linear(5, 2))), "reads 5 values"),
        (lambda c: c.build(readout="ten"), "readout='ten'; give a Module"),
        (lambda c: c.build(readout=True), "readout=True; give a Module, an integer or None"),
        (lambda c: c.build(readout=0), "readout=0: must be 1 or more"),
        (lambda c: c.population("P", 2, pooled_interneuron="yes"), "pooled_interneuron='yes'; give True or False"),
        (lambda c: c.population("P", 2, valence="a"), "valence='a'"),
        (lambda c: c.population("P", 10**15), "P, of 1,000,000,000,000,000 neurons, takes about 16 PB"),
        (lambda c: far_away(c).build(), "remembers 1,000,000,000,000 slices of 2 neurons"),
        (lambda c: c.build().set_conductance("E", "I", "a"), "conductance='a'; give a Tensor or a number"),
        (lambda _: Circuit(potentials=(-100, 0)), "give a PotentialRange"),
        (lambda _: Mask([[1.0, float("nan")]]), "Mask"),
        (lambda _: Mask(torch.tensor([[1.0, float("nan")]])), "Mask: the matrix holds NaN"),
        (lambda _: Mask([[1, 1], [1]]), "Mask: give a matrix of numbers, with rows of one length"),
        (lambda _: Mask("mask"), "mask='mask'"),
        (lambda _: Convolution("a"), "kernel_size='a'; give an integer"),
        (lambda _: Convolution(1.5), "kernel_size=1.5"),
        (lambda c: plot.circuit(c), "net="),
        (lambda _: plot.raster(simulation()), "give an Activity"),
        (lambda _: loop_of_two().build(outputs=["E", "I"])(torch.rand(3, 4), state=state_of(2)), "of shape (1, 2, 2)"),
        (lambda c: c.build(outputs=["E", "I"])(torch.rand(3, 4), state="rest"), "give the state of an earlier run"),
        (lambda c: c.build(outputs=["E", "I"])(torch.rand(3, 4).double()), "torch.float64, but the conductances are"),
        (lambda c: c.build(outputs="E"), r"no path leads from 'I' to what is read \(E\)"),
        (lambda c: c.build().conductance("I", "E"), "unknown projection 'I -> E'"),
        (lambda c: c.build().set_conductance("E", "I", torch.ones(3, 3)), "shape (2, 4), not (3, 3)"),
        (lambda c: c.build().set_conductance("E", "I", -1.0), "finite and not negative"),
        (lambda _: Circuit().build(), "needs at least one input"),
        (lambda _: Sparse(0.0), "probability 0.0"),
        (lambda _: Gaussian(-1.0), "length -1.0"),
        (lambda _: Exponential(1.0, 2.0), "probability 2.0"),
        (lambda _: WithinDistance(0.0), "length 0.0"),
        (lambda _: InDegree(0), "InDegree(0)"),
        (lambda _: Blocks([1.0, 0.0]), "give a matrix of probabilities"),
        (lambda _: Mask(torch.ones(3)), "give (target neurons, source neurons)"),
        (lambda _: Convolution(0), "kernel_size=0"),
    ],
)
def test_a_mistake_is_one_line(action, message):
    found = one_line(lambda: action(circuit_of_two()))
    assert message.replace("\\", "") in found


def test_a_circle_without_delay_is_named():
    circuit = circuit_of_two()
    circuit.connect("I", circuit.population("P", 2))
    circuit.connect("P", "E", delay=0)
    assert "form a circle: E -> I -> P -> E;" in one_line(circuit.build)


def test_a_population_onto_itself_without_delay_is_a_circle():
    circuit = circuit_of_two()
    circuit.connect("E", "E", delay=0)
    assert "form a circle: E -> E;" in one_line(circuit.build)


def test_a_population_that_nothing_reaches_is_named():
    circuit = circuit_of_two()
    circuit.connect(circuit.population("alone", 2), "E")
    assert "no path leads from an input to population 'alone'" in one_line(circuit.build)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Mask(torch.zeros(2, 4)), "the rule leaves no synapse at all"),
        (Mask(torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]])), "1 of 2 neurons have no synapse, the first is number 1"),
        (Mask(torch.ones(4, 2)), "the mask has the shape (4, 2), but the target has 2 neurons and the source 4"),
        (OneToOne(), "one-to-one needs populations of one size"),
        (InDegree(5), "has only 4 sources to choose from"),
        (Blocks([[1.0, 1.0]], source=[1, 1]), "2 classes of sources with sizes [1, 1], but there are 4 neurons"),
        (Convolution(3), "leads to (4,), but the target's grid is (2,)"),
        (Convolution((3, 3)), "the grid has 1 axes"),
        (Convolution(3) & Sparse(0.5), "combines with no other rule"),
    ],
)
def test_a_rule_that_does_not_fit_names_its_projection(rule, message):
    circuit = Circuit()
    circuit.connect(circuit.input("x", 4), circuit.population("E", 4))
    circuit.connect("E", circuit.population("I", 2), rule=rule)
    found = one_line(circuit.build)
    assert message in found
    assert "E -> I" in found or "population 'I'" in found


def test_grids_of_different_kinds_have_no_distance():
    circuit = Circuit()
    circuit.connect(circuit.input("x", (4, 4)), circuit.population("E", 4), rule=WithinDistance(1))
    assert "different numbers of axes" in one_line(circuit.build)


def test_a_convolutional_population_takes_one_kernel_from_grids_of_one_size():
    circuit = Circuit()
    x, y = circuit.input("x", (4, 4)), circuit.input("y", 16)
    e = circuit.population("E", (4, 4), channels=2)
    circuit.connect(x, e, rule=Convolution(3))
    circuit.connect(y, e)
    assert "is convolutional by" in one_line(circuit.build)


def test_sequences_of_different_lengths_are_refused():
    circuit = circuit_of_two()
    circuit.connect(circuit.input("y", 2), "E")
    net = circuit.build()
    assert "sequences of different lengths" in one_line(lambda: net(torch.rand(1, 3, 4), torch.rand(1, 2, 2)))
    assert net(torch.rand(1, 3, 4), torch.rand(1, 2)).shape == (1, 3, 2)


no_numbers = st.one_of(
    st.text(),
    st.lists(st.floats()),
    st.just(torch.ones(3)),
    st.floats(max_value=0, exclude_max=True),
    st.sampled_from([float("nan"), float("inf")]),
)
PLACES_OF_NUMBERS = {
    "conductance": lambda value: circuit_of_two().connect("I", "E", conductance=value),
    "resting_conductance": lambda value: Circuit().population("P", 3, resting_conductance=value),
    "width": lambda value: Circuit().population("P", 3, width=value),
    "tau_membrane": lambda value: Circuit().population("P", 3, tau_membrane=value),
    "tau_synapse": lambda value: Circuit().population("P", 3, tau_synapse=value),
    "tolerance": lambda value: circuit_of_two().build(tolerance=value),
    "slice_duration": lambda value: circuit_of_two().build(slice_duration=value),
    "Sparse": Sparse,
    "Gaussian": Gaussian,
    "Exponential": Exponential,
    "WithinDistance": WithinDistance,
}


@pytest.mark.parametrize("place", PLACES_OF_NUMBERS)
@given(value=no_numbers)
def test_what_is_no_number_in_range_is_refused(place, value):
    assert place in message_of(lambda: PLACES_OF_NUMBERS[place](value))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "is None; give a tensor"),
        ([[0.5] * 4], "give a tensor of floating point"),
        (torch.ones(2, 4, dtype=torch.long), "torch.int64; give a tensor of floating point"),
        (torch.ones(2, 0, 4), "sequences without elements"),
    ],
)
def test_what_is_no_input_is_refused(values, message):
    net = circuit_of_two().build(outputs=["E", "I"])
    assert message in one_line(lambda: net(values))


@pytest.mark.parametrize("values", [float("nan"), 1.5, -0.5])
@pytest.mark.parametrize("make", [lambda: circuit_of_two().build(outputs=["E", "I"]), lambda: CWARNN(4, 3)])
def test_what_is_no_open_probability_is_found_where_layers_are_looked_at(make, values):
    """As in layers: nothing is looked at in every step, but `validate` sees it."""
    net = make()
    with pytest.raises(ConductanceError, match="open probabilities lie in"), validate(net):
        net(torch.full((2, 1, 4), values))


@pytest.mark.parametrize("values", [None, np.ones((2, 4)), torch.ones(2, 3, 4).long(), torch.rand(2, 3, 4).double()])
def test_a_recurrent_layer_wants_floats_of_its_precision(values):
    assert "the input is" in one_line(lambda: CWARNN(4, 3)(values))


@pytest.mark.parametrize("sizes", [{"hidden_size": -1}, {"input_size": 0}, {"num_layers": 0}, {"hidden_size": 2.5}])
def test_a_recurrent_layer_wants_sizes(sizes):
    assert str(next(iter(sizes.values()))) in one_line(lambda: CWARNN(**{"input_size": 4, "hidden_size": 3, **sizes}))
