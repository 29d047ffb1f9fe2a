"""Spikes, synapses and membrane together, against what Brian2 made of the same ones (tools/record_brian2.py)."""

import json
from pathlib import Path

import torch

from conductance.biophysics import integrate, synaptic_input

STEP = 0.01  # ms


def test_a_membrane_under_excitatory_and_inhibitory_spikes_agrees_with_brian2():
    recorded = json.loads((Path(__file__).parent / "brian2_membrane.json").read_text())
    per_ms = round(1 / STEP)
    expected = torch.tensor(recorded["potential"], dtype=torch.float64)
    spikes = torch.zeros(per_ms * (len(expected) - 1), 2, dtype=torch.float64)
    for neuron, times in enumerate(recorded["spikes"].values()):
        for t in times:
            spikes[round(t / STEP), neuron] = 1
    G, I, _ = synaptic_input(
        spikes, torch.tensor([recorded["quantum"]]), recorded["reversal_potential"], recorded["time_constant"], STEP
    )
    G_r, E_r = recorded["resting_conductance"], recorded["resting_potential"]
    V = integrate(E_r, G + G_r, I + G_r * E_r, recorded["capacitance"], STEP)[:, 0]
    assert expected.max() > E_r + 15
    torch.testing.assert_close(V[per_ms - 1 :: per_ms], expected[1:], rtol=0, atol=1e-5)
