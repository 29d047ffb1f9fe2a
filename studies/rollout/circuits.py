"""A layer of excitatory neurons with interneurons that feed inhibition back, rolled out over time slices."""

from conductance.circuits import Circuit
from conductance.circuits.network import CircuitNetwork

SIDE, CLASSES, EXCITATORY = 28, 10, 144
SHARE, SLICES = 0.3, 4
WITHOUT = "none"


def rollout(slices: int, share: float = SHARE, *, settled: bool = True, strength: float = 1.0) -> CircuitNetwork:
    """E reads a doubled image, PV reads E, and inhibits E and itself a slice later.

    Args:
        slices: how many.
        share: of interneurons, in units of the excitatory neurons.
        settled: whether loops start so weak that slices come to rest.
        strength: by what factor the interneurons' synapses onto E are stronger at the start.
    """
    circuit = Circuit()
    x = circuit.input("x", (SIDE, SIDE), coding="doubled")
    e = circuit.population("E", EXCITATORY, reversal="AMPA")
    pv = circuit.population("PV", round(share * EXCITATORY), reversal="GABA-A", tau_synapse=2)
    circuit.connect(x, e)
    circuit.connect(e, pv)
    circuit.connect(pv, [e, pv])
    network = circuit.build(slices=slices, readout=CLASSES, outputs=e, settle=settled)
    network.set_conductance("PV", "E", strength * network.conductance("PV", "E"))
    return network


def without_interneurons() -> CircuitNetwork:
    """E alone."""
    circuit = Circuit()
    x = circuit.input("x", (SIDE, SIDE), coding="doubled")
    circuit.connect(x, circuit.population("E", EXCITATORY, reversal="AMPA"))
    return circuit.build(readout=CLASSES)


def with_room(name: str) -> CircuitNetwork:
    """What a condition names: no interneurons, or "share 0.3, strength 1"."""
    if name == WITHOUT:
        return without_interneurons()
    share, strength = (float(part.split()[1]) for part in name.split(", "))
    return rollout(SLICES, share, strength=strength)
