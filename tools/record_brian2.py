"""Record what Brian2 makes of one membrane, for tests/biophysics/test_against_brian2.py.

Brian2 2.9.0 does not import with numpy 2, which this package needs, so it runs in an environment of its own:

    python -m venv brian && brian/bin/pip install brian2==2.9.0 'numpy<2'
    brian/bin/python tools/record_brian2.py
"""

import json
from pathlib import Path

import brian2 as b2
import numpy as np

TARGET = Path(__file__).parents[1] / "tests" / "biophysics" / "brian2_membrane.json"
EQUATIONS = """
dv/dt = (G_r * (E_r - v) + g_e * (E_e - v) + g_i * (E_i - v)) / C : volt
dg_e/dt = -g_e / tau_e : siemens
dg_i/dt = -g_i / tau_i : siemens
"""
MEMBRANE = {
    "resting_conductance": 10.0,
    "resting_potential": -65.0,
    "capacitance": 200.0,
    "quantum": [6.0, 9.0],
    "reversal_potential": [0.0, -70.0],
    "time_constant": [5.0, 10.0],
}
SPIKES = {"excitatory": [2.0, 5.0, 5.5, 6.0, 20.0, 31.0, 31.5, 40.0], "inhibitory": [8.0, 33.0, 34.0]}  # ms
DURATION = 60.0


def record() -> list[float]:
    b2.prefs.codegen.target = "numpy"
    b2.defaultclock.dt = step = 0.001 * b2.ms
    q_e, q_i = MEMBRANE["quantum"]
    constants = {
        "C": MEMBRANE["capacitance"] * b2.pF,
        "G_r": MEMBRANE["resting_conductance"] * b2.nS,
        "E_r": MEMBRANE["resting_potential"] * b2.mV,
        **dict(zip(("E_e", "E_i"), MEMBRANE["reversal_potential"] * b2.mV, strict=True)),
        **dict(zip(("tau_e", "tau_i"), MEMBRANE["time_constant"] * b2.ms, strict=True)),
    }
    cell = b2.NeuronGroup(1, EQUATIONS, method="rk4", namespace=constants)
    cell.v = MEMBRANE["resting_potential"] * b2.mV
    neurons = [0] * len(SPIKES["excitatory"]) + [1] * len(SPIKES["inhibitory"])
    times = np.array(SPIKES["excitatory"] + SPIKES["inhibitory"]) * b2.ms - step  # it arrives with the next step
    source = b2.SpikeGeneratorGroup(2, neurons, times)
    excite = b2.Synapses(source, cell, on_pre=f"g_e += {q_e} * nS")
    excite.connect(i=0, j=0)
    inhibit = b2.Synapses(source, cell, on_pre=f"g_i += {q_i} * nS")
    inhibit.connect(i=1, j=0)
    monitor = b2.StateMonitor(cell, "v", record=True, dt=1 * b2.ms)
    b2.Network(cell, source, excite, inhibit, monitor).run((DURATION + 0.5) * b2.ms)
    return [round(float(v), 9) for v in monitor.v[0] / b2.mV]


if __name__ == "__main__":
    recorded = {
        "versions": {"brian2": b2.__version__, "numpy": np.__version__},
        "command": "python tools/record_brian2.py",
        **MEMBRANE,
        "spikes": SPIKES,
        "potential": record(),  # every ms, from 0
    }
    TARGET.write_text(json.dumps(recorded, indent=1) + "\n")
