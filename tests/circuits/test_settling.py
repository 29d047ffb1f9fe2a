"""Loops come to rest: the spectral radius is that of the derivative, and circuits start below the one asked for."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import circuits
from torch import nn

from conductance import init
from conductance.circuits import Circuit, Sparse
from conductance.errors import InputError
from conductance.nn import CWARNN, settling, spectral_radius
from conductance.nn.recurrence import growth, steady_state
from conductance.nn.settling import RADIUS


def inhibited(seed=0, *, slow=None, sparse=False, units=40, **options):
    """Excitatory neurons, interneurons that inhibit them and each other a slice later, and no other inhibition."""
    torch.manual_seed(seed)
    circuit = Circuit()
    x, e = circuit.input("x", 20, coding="on_off"), circuit.population("E", units)
    i = circuit.population("I", units // 4, reversal="GABA-A", tau_synapse=slow)
    circuit.connect(x, e)
    circuit.connect(e, i)
    circuit.connect(i, [e, i], **options)
    if sparse:
        circuit.connect(e, e, rule=Sparse(0.3))
    return circuit.build(slices=4, readout=4)


def eigenvalues(slices, state):
    """Of the derivative of the step, sample by sample, by torch's own Jacobian."""
    (name,) = state.sent
    (at,) = state.sent[name]

    def step(sent):
        return slices.step(state._replace(sent={name: (sent,)})).sent[name][0]

    jacobian = torch.autograd.functional.jacobian(step, at)
    return torch.stack([torch.linalg.eigvals(jacobian[i, :, i]) for i in range(len(at))])


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=10)
def test_the_radius_is_the_largest_eigenvalue(seed, excitatory):
    torch.manual_seed(seed)
    circuit = Circuit()
    x, a = circuit.input("x", 6, coding="doubled"), circuit.population("A", 12, reversal="AMPA" if excitatory else -90)
    circuit.connect(x, a)
    circuit.connect(a, a)
    net = circuit.build().double()
    slices = net.slice_map(torch.rand(4, 6, dtype=torch.float64))
    state = steady_state(slices)
    exact = eigenvalues(slices, state).abs().amax(1)
    found = growth(slices, state)
    torch.testing.assert_close(found, exact, rtol=0.25, atol=0.02)


@given(circuits(timeless=True))
@settings(max_examples=15)
def test_random_circuits_start_where_their_slices_come_to_rest(circuit):
    """Unless some of what closes loops was given, and may not be scaled."""
    net = circuit.build(outputs=list(circuit.populations))
    random = torch.Generator().manual_seed(0)
    noise = [torch.rand(8, *each.shape, generator=random) for each in circuit.inputs.values()]
    if all(projection.plastic for projection in circuit.projections):
        assert spectral_radius(net, *noise) <= 1.05 * RADIUS


def test_what_remembers_without_loops_keeps_its_loops():
    torch.manual_seed(0)
    layer = CWARNN(8, 30, tau_membrane=1000.0)
    steps = torch.rand(6, 4, 8)
    before = layer.cells[0].synapses.conductance.clone()
    assert RADIUS < spectral_radius(layer, steps) < 1
    init.settle_(layer, steps)
    torch.testing.assert_close(layer.cells[0].synapses.conductance, before)


@pytest.mark.parametrize("seed", range(3))
def test_inhibition_that_returns_a_slice_later_lets_neurons_speak(seed):
    net = inhibited(seed)
    with torch.no_grad():
        sent = net.run(torch.rand(50, 20)).sent
    assert sent["E"][:, -1].mean() > 0.05
    assert sent["I"][:, -1].mean() > 0.01


def test_what_loops_no_longer_inhibit_the_leak_does():
    net = inhibited()
    built = deepcopy(net)
    built.populations["E"].synapses.leak.reset_parameters()
    assert (
        net.populations["E"].synapses.resting_conductance > built.populations["E"].synapses.resting_conductance
    ).all()


def test_a_leak_and_conductances_that_were_given_stay():
    torch.manual_seed(0)
    circuit = Circuit()
    x, e = circuit.input("x", 20, coding="on_off"), circuit.population("E", 40, resting_conductance=3.0)
    i = circuit.population("I", 10, reversal="GABA-A")
    circuit.connect(x, e)
    circuit.connect(e, i)
    circuit.connect(i, e, conductance=50.0)
    net = circuit.build(slices=4)
    torch.testing.assert_close(net.populations["E"].synapses.resting_conductance, torch.full((40,), 3.0))
    assert (net.conductance("I", "E") == 50).all()


def test_slow_synapses_come_to_rest_as_they_are():
    net = inhibited(slow=3.0)
    synapses = net.populations["E"].synapses
    drive, total = (synapses.conductance * synapses.valence).sum(1), synapses.conductance.sum(1)
    assert (drive.abs() < 1e-4 * total).all()  # balanced over all projections, nothing scaled


@pytest.mark.parametrize("sparse", [False, True])
def test_initialize_balances_where_slices_come_to_rest(sparse):
    net = inhibited(slow=3.0, sparse=sparse)
    batch = torch.rand(100, 20)
    init.initialize(net, batch)
    slices = net.slice_map(batch)
    read = settling._received(slices, steady_state(slices))
    for loop, p in read.items():  # with what the leak makes up for
        assert settling._mean_potential(loop.layer, p).abs().median() < 0.25
    assert spectral_radius(net, batch) < 1


def test_initialize_settles_loops_without_time_constants():
    net = inhibited()
    batch = torch.rand(100, 20)
    init.initialize(net, batch)
    assert spectral_radius(net, batch) <= 1.05 * RADIUS
    with torch.no_grad():
        assert net.run(batch).sent["E"][:, -1].mean() > 0.02


def test_a_radius_can_be_chosen_of_any_model_with_a_recurrent_module():
    torch.manual_seed(0)

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.readout = CWARNN(8, 30, batch_first=True, tau_membrane=2.0), nn.Linear(30, 3)

        def forward(self, rows):
            return self.readout(self.layer(rows)[0][:, -1])

    model, rows = Rows(), torch.rand(10, 6, 8)
    before = spectral_radius(model.layer, rows)
    assert before > 0.3
    init.settle_(model, rows, before / 2)
    assert spectral_radius(model.layer, rows) <= before / 2 * 1.01
    with pytest.raises(InputError, match="radius=0"):
        init.settle_(model, rows, 0)


def test_a_module_without_loops_has_radius_0_and_stays():
    circuit = Circuit()
    circuit.connect(circuit.input("x", 5, coding="doubled"), circuit.population("E", 4))
    net = circuit.build()
    before = net.conductance("x", "E").clone()
    assert spectral_radius(net, torch.rand(3, 5)) == 0
    init.settle_(net, torch.rand(3, 5))
    assert torch.equal(net.conductance("x", "E"), before)


def test_building_draws_the_same_random_numbers_with_and_without_loops_to_settle():
    inhibited(0)
    after = torch.rand(1)
    torch.manual_seed(0)
    inhibited(0, slow=3.0)
    assert torch.equal(torch.rand(1), after)
