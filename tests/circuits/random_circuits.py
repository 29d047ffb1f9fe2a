"""Circuits drawn by hypothesis: any number of populations, delays, rules, gates and time constants."""

import torch
from hypothesis import strategies as st

from conductance.circuits import Blocks, Circuit, Dense, Gaussian, InDegree, Mask, Sparse, WithinDistance

RULES = st.sampled_from(
    [
        Dense(),
        Sparse(0.7),
        InDegree(1),
        WithinDistance(1.5),
        Gaussian(2.0),
        Sparse(0.9) & WithinDistance(2.0),
        Blocks([[1.0, 0.9], [0.9, 1.0]]),
        None,
    ]
)
REVERSALS = st.sampled_from(["AMPA", "GABA-A", "GABA-B", -20.0])
TIMES = st.sampled_from([None, None, 5.0, 40.0])


def random_mask(target, source):
    mask = torch.rand(target, source) < 0.6
    mask[0, 0] = True
    return Mask(mask)


@st.composite
def circuits(draw, timeless=False, pooled=False):
    """A circuit in which every population has a dense projection from an input, so that all neurons have synapses."""
    circuit = Circuit()
    sizes = {}
    for name in ["x", "y"][: draw(st.integers(1, 2))]:
        coding = draw(st.sampled_from([None, "on_off", "doubled"]))
        size = draw(st.integers(2, 4))
        reversal = None if coding == "doubled" else draw(REVERSALS)
        circuit.input(name, size, coding=coding, reversal=reversal)
        sizes[name] = size if coding is None else 2 * size
    inputs = list(sizes)
    for name in ["A", "B", "C"][: draw(st.integers(1, 3))]:
        sizes[name] = draw(st.integers(2, 5))
        circuit.population(
            name,
            sizes[name],
            reversal=draw(REVERSALS),
            gate=draw(st.sampled_from(["rectified", "logistic"])),
            threshold=draw(st.sampled_from([-50.0, -60.0])),
            tau_membrane=None if timeless else draw(TIMES),
            tau_synapse=None if timeless else draw(TIMES),
            resting_conductance=draw(st.sampled_from([None, 0.5])),
            pooled_interneuron=pooled and draw(st.booleans()),
        )
        circuit.connect(draw(st.sampled_from(inputs)), name, plastic=draw(st.booleans()))
    populations = [name for name in sizes if name not in inputs]
    for source in sizes:
        for target in populations:
            delay = draw(st.sampled_from([None, None, 1, 2]))
            there = {(each.source, each.target) for each in circuit.projections}
            if delay is not None and (source, target) not in there:
                rule = draw(RULES) or random_mask(sizes[target], sizes[source])
                if source in populations and populations.index(source) < populations.index(target):
                    delay -= 1
                circuit.connect(source, target, rule=rule, delay=delay)
    for name in inputs:
        if not any(each.source == name for each in circuit.projections):
            circuit.connect(name, populations[0])
    return circuit


def samples(circuit, number=3):
    """Data for each input, (N, values)."""
    return [torch.rand(number, *each.shape, dtype=torch.float64) for each in circuit.inputs.values()]
