"""Recurrent layers: their equation, torch's interface, and what they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from conductance import init, optim
from conductance.errors import InputError
from conductance.nn import CWARNN, CWARNNCell, read_valences
from conductance.nn.unroll import unroll

DOUBLE = {"dtype": torch.float64}


def transcription(cell, p_in, V):
    """One step for one sample, neuron by neuron."""
    layer = cell.synapses
    G, e = layer.conductance.detach().cpu().numpy(), layer.valence.cpu().numpy()
    own = np.maximum(V, 0)
    p = np.concatenate([p_in, own, p_in] if cell.doubled_input else [p_in, own])
    after = np.empty_like(V)
    m = np.mean(V) if cell.pooled_interneuron else 0.0
    for i in range(len(V)):
        G_r, e_r = float(layer.resting_conductance[i]), float(layer.resting_potential[i])
        total = G_r + sum(G[i, j] * p[j] for j in range(len(p)))
        z = (G_r * e_r + sum(G[i, j] * e[j] * p[j] for j in range(len(p)))) / total
        z, total = (z - m) / (1 + abs(m)), total * (1 + abs(m))
        after[i] = z + (V[i] - z) * np.exp(-total / float(cell.capacitance[i]))
    return after


@given(st.integers(1, 4), st.integers(1, 6), st.booleans(), st.sampled_from([0.5, 30.0, None]), st.booleans())
def test_a_cell_equals_its_transcription(inputs, units, doubled, tau, pooled):
    tau = torch.logspace(-1, 2, units) if tau is None else tau
    valence = None if doubled else torch.linspace(-1, 1, inputs)
    options = {"valence": valence, "tau_membrane": tau, "resting_potential": 0.2, **DOUBLE}
    cell = CWARNNCell(inputs, units, pooled_interneuron=pooled and units > 1, **options)
    x, V = torch.rand(2, inputs, **DOUBLE), torch.rand(2, units, **DOUBLE) * 2 - 1
    expected = np.stack([transcription(cell, a, b) for a, b in zip(x.cpu().numpy(), V.cpu().numpy(), strict=True)])
    np.testing.assert_allclose(cell(x, V).detach().cpu().numpy(), expected, rtol=1e-9)
    assert cell(x, V).abs().max() <= 1
    torch.testing.assert_close(cell(x), cell(x, torch.full_like(V, 0.2)))


def test_all_layers_have_pooled_interneurons_or_none_has():
    rnn = layers(pooled_interneuron=True)
    assert all(cell.pooled_interneuron for cell in rnn.cells)
    assert "pooled_interneuron=True" in repr(rnn)
    assert not any(cell.pooled_interneuron for cell in layers().cells)
    layers(pooled_interneuron=True).load_state_dict(rnn.state_dict())
    with pytest.raises(RuntimeError, match="whether it has a pooled interneuron differs"):
        layers().load_state_dict(rnn.state_dict())
    with pytest.raises(InputError, match="a single unit is its own mean"):
        CWARNN(3, 1, pooled_interneuron=True)


def layers(**options):
    return CWARNN(3, 4, 2, **{**DOUBLE, **options})


def by_cells(rnn, x, V):
    """(L, N, ...) step by step, all layers at each step."""
    outputs = []
    for step in x:
        after = []
        for cell, own in zip(rnn.cells, V, strict=True):
            after.append(cell(step, own))
            step = after[-1].clamp(min=0)
        V = torch.stack(after)
        outputs.append(step)
    return torch.stack(outputs), V


def test_the_layers_run_cell_by_cell():
    rnn = layers()
    x, V = torch.rand(5, 2, 3, **DOUBLE), torch.rand(2, 2, 4, **DOUBLE) - 0.5
    for found, expected in zip(rnn(x, V), by_cells(rnn, x, V), strict=True):
        torch.testing.assert_close(found, expected)
    rest = torch.zeros(2, 2, 4, **DOUBLE)
    torch.testing.assert_close(rnn(x)[0], rnn(x, rest)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_shapes_are_those_of_torch(batch_first):
    ours, theirs = layers(batch_first=batch_first), torch.nn.RNN(3, 4, 2, batch_first=batch_first, **DOUBLE)
    for x in (torch.rand(5, 6, 3, **DOUBLE), torch.rand(5, 3, **DOUBLE)):
        for a, b in zip(ours(x), theirs(x), strict=True):
            assert a.shape == b.shape
    x = torch.rand(5, 6, 3, **DOUBLE)
    output, V = ours(x)
    last = output[:, -1] if batch_first else output[-1]
    assert torch.equal(last, V[-1].clamp(min=0))
    for one, all_ in zip(ours(x[:, 2] if not batch_first else x[2]), ours(x), strict=True):
        axis = 0 if batch_first and all_ is output else 1
        torch.testing.assert_close(one, all_.select(axis, 2)) if all_.shape[0] != 5 or not batch_first else None


def test_membrane_potentials_are_returned_without_activation():
    rnn = CWARNN(3, 20, activation=None)
    x = torch.rand(5, 2, 3)
    output, V = rnn(x)
    assert torch.equal(output[-1], V[-1])
    assert bool((output < 0).any())


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_packed_sequences_give_what_each_gives_alone(lengths):
    rnn = layers()
    sequences = [torch.rand(length, 3, **DOUBLE) for length in lengths]
    start = torch.rand(2, len(lengths), 4, **DOUBLE)
    packed = pack_sequence(sequences, enforce_sorted=False)
    output, V = rnn(packed, start)
    padded, found = pad_packed_sequence(output)
    assert found.tolist() == lengths
    for n, sequence in enumerate(sequences):
        alone, last = rnn(sequence, start[:, n])
        torch.testing.assert_close(padded[: len(sequence), n], alone)
        torch.testing.assert_close(V[:, n], last)


def test_checkpoints_change_nothing_and_truncation_cuts_gradients():
    x = torch.rand(7, 2, 3, **DOUBLE)
    gradients = []
    for options in ({}, {"checkpoint": 3}, {"truncation": 7}, {"truncation": 2}, {"truncation": 2, "checkpoint": 3}):
        torch.manual_seed(0)
        rnn = layers(tau_membrane=20.0, **options)
        rnn(x)[0].square().sum().backward()
        gradients.append(rnn.cells[0].synapses.g.grad)
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])
    assert not torch.allclose(gradients[3], gradients[0])
    torch.testing.assert_close(gradients[4], gradients[3])


def test_a_truncated_gradient_goes_back_as_many_steps_as_it_says():
    starts = [torch.ones((), requires_grad=True) for _ in range(6)]
    _, outputs = unroll(lambda t, state: (state + starts[t],) * 2, 6, torch.zeros(()), truncation=3)
    assert torch.autograd.grad(outputs[5], starts, allow_unused=True) == (None, None, None, 1, 1, 1)


def test_gradients_are_those_of_finite_differences():
    rnn = CWARNN(2, 3, tau_membrane=10.0, learn_tau=True, learn_resting=True, activation=None, **DOUBLE)
    x, V = torch.rand(4, 2, 2, **DOUBLE) * 0.8 + 0.1, torch.full((1, 2, 3), 0.4, **DOUBLE)
    names, values = zip(*rnn.named_parameters(), strict=True)
    values = [value.detach().clone().requires_grad_() for value in values]

    def run(x, V, *values):
        return torch.func.functional_call(rnn, dict(zip(names, values, strict=True)), (x, V))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), V.requires_grad_(), *values))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_it_compiles_in_one_graph():
    torch._dynamo.reset()
    rnn = CWARNN(3, 4, truncation=2)
    x = torch.rand(3, 2, 3)
    compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
    for found, expected in zip(compiled(x), rnn(x), strict=True):
        torch.testing.assert_close(found, expected)
    compiled(x)[0].sum().backward()
    assert rnn.cells[0].synapses.g.grad.abs().sum() > 0
    assert rnn.cells[0].synapses._held is None


def test_it_learns_and_its_conductances_stay_positive():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.readout = CWARNN(2, 16, batch_first=True), torch.nn.Linear(16, 2)

        def forward(self, x):
            return self.readout(self.rnn(x)[0][:, -1])

    net = Network()
    optimizer = optim.create_optimizer(net)
    x = torch.rand(128, 6, 2)
    y = (x[:, 0, 0] > x[:, 2, 0]).long()
    init.initialize(net, x)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert (net.rnn.cells[0].synapses.conductance >= 0).all()


def test_layers_in_series_read_units_by_their_valences():
    rnn = CWARNN(3, 4, 2, unit_valence=[1.0, 1.0, 1.0, -0.5])
    assert rnn.cells[1].synapses.valence.tolist() == [1.0, 1.0, 1.0, -0.5] * 2
    assert len(read_valences(rnn, torch.rand(2, 3, 3))) == 2


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: CWARNN(3, 4, 0), "num_layers=0"),
        (lambda: CWARNN(3, 4, tau_membrane=0.0), "give a positive number of time steps"),
        (lambda: CWARNN(3, 4, tau_membrane=torch.ones(3)), "one for each of 4 units"),
        (lambda: CWARNN(3, 4, truncation=0), "truncation=0"),
        (lambda: CWARNN(3, 4, checkpoint=-1), "checkpoint=-1"),
        (lambda: CWARNN(3, 4, unit_valence=[1.0, 1.0]), "give one value for each of 4 units"),
        (lambda: CWARNN(3, 4)(torch.rand(5, 2, 2)), r"give (L, N, 3)"),
        (lambda: CWARNN(3, 4, batch_first=True)(torch.rand(5, 2, 2)), r"give (N, L, 3)"),
        (lambda: CWARNN(3, 4)(torch.rand(5, 2, 3), torch.rand(2, 2, 4)), "it must be (1, 2, 4)"),
        (lambda: CWARNNCell(3, 4)(torch.rand(2, 2)), "the input has 2 channels, but the cell reads 3"),
        (
            lambda: CWARNN(3, 4)(PackedSequence(torch.rand(5, 3), torch.tensor([2, 3]))),
            "the packed sequences are out of order",
        ),
    ],
)
def test_a_mistake_is_one_line(action, message):
    with pytest.raises(InputError) as caught:
        action()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_precision_stays_near():
    rnn, x = CWARNN(6, 16, 2), torch.rand(5, 4, 6)
    exact = rnn(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = rnn(x)[0]
    torch.testing.assert_close(found.float(), exact, atol=0.02, rtol=0.02)
    half = rnn.bfloat16()(x.bfloat16())[0]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.03, rtol=0.03)


def test_padding_and_packing_agree():
    rnn = layers(batch_first=True)
    x = torch.rand(3, 5, 3, **DOUBLE)
    packed = pack_padded_sequence(x, torch.tensor([5, 3, 2]), batch_first=True)
    padded, _ = pad_packed_sequence(rnn(packed)[0], batch_first=True)
    whole, _ = rnn(x)
    for n, length in enumerate([5, 3, 2]):
        torch.testing.assert_close(padded[n, :length], whole[n, :length])


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_without_elements_are_refused(batch_first):
    layer = CWARNN(3, 4, batch_first=batch_first)
    for shape in ((2, 0, 3) if batch_first else (0, 2, 3)), (0, 3):
        with pytest.raises(InputError, match="sequences need one element or more"):
            layer(torch.rand(shape))


def test_a_state_of_another_batch_is_refused_by_the_cell():
    with pytest.raises(InputError, match=r"the state has the shape \(5, 4\), but it must be \(2, 4\)"):
        CWARNNCell(3, 4)(torch.rand(2, 3), torch.zeros(5, 4))
