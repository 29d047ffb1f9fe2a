"""CWARNN as membranes: the same exact steps, in mV and ms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conductance.biophysics import simulate, to_biophysical
from conductance.errors import InputError
from conductance.nn import CWARNN, CWARNNCell

seeds = st.integers(0, 2**31 - 1)


@settings(max_examples=15)
@given(seeds, st.booleans(), st.booleans(), st.sampled_from([None, [1.0, -0.5, 0.25]]), st.sampled_from([0.5, 2.0]))
def test_with_steps_as_long_as_its_own_it_goes_where_the_layer_goes(seed, batch_first, pooled, valence, step):
    torch.manual_seed(seed)
    options = {"batch_first": batch_first, "valence": valence, "pooled_interneuron": pooled, "activation": None}
    rnn = CWARNN(3, 6, tau_membrane=10.0, **options).double()
    sequence = torch.rand(4, 5, 3, dtype=torch.float64)
    potentials, h_n = rnn(sequence)
    z = potentials if batch_first else potentials.transpose(0, 1)  # (N, L, units)
    network = to_biophysical(rnn, step_duration=step, images=sequence)
    result = simulate(network, sequence, z.shape[1] * step, step=step)
    course = network.by_name["cells.0"].potentials.to_valence(result.potential["cells.0"][1:])
    torch.testing.assert_close(course.transpose(0, 1), z, rtol=0, atol=1e-12)
    torch.testing.assert_close(course[-1], h_n[0], rtol=0, atol=1e-12)


class Reader(nn.Module):
    """Two layers, of which an affine readout reads the last step's output and the first layer's state."""

    def __init__(self):
        super().__init__()
        self.rnn = CWARNN(3, 6, 2, batch_first=True)
        self.readout = nn.Linear(12, 2)

    def forward(self, x):
        output, state = self.rnn(x)
        return self.readout(torch.cat([output[:, -1], state[0]], -1))


def test_layers_within_a_network_rest_where_a_long_sequence_leads():
    torch.manual_seed(0)
    model, x = Reader().double(), torch.rand(4, 1, 3, dtype=torch.float64)
    network = to_biophysical(model, images=x)
    assert [each.name for each in network.layers] == ["rnn.cells.0", "rnn.cells.1"]
    V = network.steady_state(x)
    result = simulate(network, x, 400.0, step=0.5, every=800)
    for name, potential in V.items():
        torch.testing.assert_close(result.potential[name][-1], potential, rtol=0, atol=1e-6)
    torch.testing.assert_close(result.logits[-1], model(x.expand(-1, 400, -1)), rtol=0, atol=1e-6)
    spiking = simulate(network, x, 20.0, mode="spiking", record="spikes")
    assert {name: each.shape[2] for name, each in spiking.spikes.items()} == {
        "rnn.input": 3,
        "rnn.inhibitory_copy": 3,
        "rnn.cells.0": 6,
        "rnn.cells.1": 6,
    }


@pytest.mark.parametrize(("inputs", "complaint"), [
    ((torch.rand(4, 3),), r"a batch of sequences; give \(L, N, 3\)"),
    ((torch.rand(4, 2, 3), torch.rand(1, 2, 6)), "start at rest; leave the initial state out"),
])  # fmt: skip
def test_refuses_what_it_does_not_read(inputs, complaint):
    with pytest.raises(InputError, match=complaint):
        simulate(to_biophysical(CWARNN(3, 6)), inputs, 5.0)


def test_a_cell_alone_is_no_network():
    with pytest.raises(InputError, match=r"layer of the network is a \w+, which runs within a circuit or a recur"):
        to_biophysical(CWARNNCell(3, 6).synapses)
    with pytest.raises(InputError, match="step_duration is 0 ms; give a finite number above 0"):
        to_biophysical(CWARNN(3, 6), step_duration=0.0)
