"""A circuit's equations, transcribed anew: float64 numpy, neuron by neuron, every projection by itself."""

import numpy as np


def numbers(values):
    return values.detach().double().numpy()


class Transcription:
    """A description of a circuit with the numbers of its network; `run` computes it slice by slice."""

    def __init__(self, circuit, net, slice_duration=1.0):
        self.circuit, self.duration = circuit, slice_duration
        self.order = list(net.populations)
        self.G = {
            (each.source, each.target, each.delay): numbers(net.conductance(each.source, each.target, each.delay))
            for each in circuit.projections
        }
        layers = {name: population.synapses for name, population in net.populations.items()}
        self.G_r = {name: numbers(layer.resting_conductance) for name, layer in layers.items()}
        self.outputs = net.outputs

    def code(self, name, values):
        coding = self.circuit.inputs[name].coding
        return np.concatenate([values, {None: values[:0], "on_off": 1 - values, "doubled": values}[coding]])

    def run(self, samples, slices):
        """{input: (N, values)} to the outputs' open probabilities in each slice, (N, slices, units)."""
        number = len(next(iter(samples.values())))
        shown = [{name: [values[n]] * slices for name, values in samples.items()} for n in range(number)]
        return np.stack([self.run_one(each, slices) for each in shown])

    def run_one(self, shown, slices):
        """{input: [values in each slice]}."""
        circuit = self.circuit
        neurons = {**circuit.inputs, **circuit.populations}
        sent = {name: [] for name in neurons}
        V = {
            name: np.full(len(numbers(each.valence)), circuit.populations[name].membrane["resting_potential"])
            for name, each in circuit.populations.items()
        }
        outputs = []
        for t in range(slices):
            for name in circuit.inputs:
                sent[name].append(self.code(name, shown[name][t]))
            for name in self.order:
                V[name], s = self.slice(name, sent, V[name], t)
                sent[name].append(s)
            outputs.append(np.concatenate([sent[name][t] for name in self.outputs]))
        return np.stack(outputs)

    def slice(self, name, sent, V, t):
        population = self.circuit.populations[name]
        e_r, G_r = population.membrane["resting_potential"], self.G_r[name]
        neurons = {**self.circuit.inputs, **self.circuit.populations}
        potential, open_probability = np.empty_like(V), np.empty_like(V)
        numerators, totals = np.empty_like(V), np.empty_like(V)
        for i in range(len(V)):
            numerator, total = G_r[i] * e_r, G_r[i]
            for (source, target, delay), G in self.G.items():
                if target == name and t - delay >= 0:
                    for j, p in enumerate(sent[source][t - delay]):
                        numerator += G[i, j] * float(neurons[source].valence[j]) * p
                        total += G[i, j] * p
            numerators[i], totals[i] = numerator, total
        if population.pooled_interneuron:
            m = np.mean(numerators / totals if population.tau_membrane is None else V)
            numerators, totals = numerators - m * totals, totals + abs(m) * totals
        for i in range(len(V)):
            potential[i] = numerators[i] / totals[i]
            if population.tau_membrane is not None:
                C = population.tau_membrane * G_r[i]
                potential[i] += (V[i] - potential[i]) * np.exp(-totals[i] * self.duration / C)
            open_probability[i] = self.gate(population, potential[i])
        if population.tau_synapse is not None:
            before = sent[name][t - 1] if t else np.zeros_like(V)
            open_probability += (before - open_probability) * np.exp(-self.duration / population.tau_synapse)
        return potential, open_probability

    @staticmethod
    def gate(population, z):
        kind, threshold, width, _ = population.gate or ("rectified", 0.0, 1.0, False)
        x = (z - threshold) / width
        return np.clip(x, 0, 1) if kind == "rectified" else 1 / (1 + np.exp(-x))
