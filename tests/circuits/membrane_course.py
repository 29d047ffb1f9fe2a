"""A circuit's membranes in time, transcribed anew: float64 numpy, neuron by neuron, every projection by itself."""

import numpy as np
from transcription import Transcription, numbers


class MembraneCourse(Transcription):
    """A description of a circuit with the numbers of its network, its potentials in mV and its capacitances in pF."""

    def __init__(self, circuit, net, network, slice_duration):
        super().__init__(circuit, net, slice_duration)
        self.nS = {name: network.by_name[name].nanosiemens for name in self.order}
        self.C = {name: numbers(network.by_name[name].capacitance) for name in self.order}
        self.mV = circuit.potentials

    def course(self, samples, steps, step):
        """V (mV) of every population at the start of each step, {name: (steps, units)}, for one sample."""
        neurons = {**self.circuit.inputs, **self.circuit.populations}
        rest = {name: self.circuit.populations[name].membrane["resting_potential"] for name in self.order}
        V = {
            name: np.full(len(numbers(neurons[name].valence)), float(self.mV.to_millivolts(rest[name])))
            for name in self.order
        }
        s = {name: np.zeros_like(V[name]) for name in self.order}
        sent = {name: [] for name in neurons}
        course = {name: [] for name in self.order}
        for k in range(steps):
            for name in self.circuit.inputs:
                sent[name].append(self.code(name, samples[name]))
            for name in self.order:
                course[name].append(V[name].copy())
                population = self.circuit.populations[name]
                p = self.gate(population, 2 * (V[name] - self.mV.minimum) / (self.mV.maximum - self.mV.minimum) - 1)
                tau = population.tau_synapse
                if tau is None:
                    sent[name].append(p)
                else:
                    sent[name].append(p + (s[name] - p) * tau / step * (1 - np.exp(-step / tau)))
                    s[name] = p + (s[name] - p) * np.exp(-step / tau)
            for name in self.order:
                drives = [self.drive(name, i, neurons, sent, k, step, rest[name]) for i in range(len(V[name]))]
                if self.circuit.populations[name].pooled_interneuron:
                    drives = self.with_pool(name, drives, course[name], k, step)
                for i, (G, I) in enumerate(drives):
                    V[name][i] = I / G + (V[name][i] - I / G) * np.exp(-G * step / self.C[name][i])
        return {name: np.stack(values) for name, values in course.items()}

    def with_pool(self, name, drives, course, k, step):
        """The same with what the pooled interneuron opens."""
        V = np.array([I / G for G, I in drives])
        if self.circuit.populations[name].tau_membrane is not None:
            V = course[max(0, k - round(self.duration / step))]
        m = np.mean(2 * (V - self.mV.minimum) / (self.mV.maximum - self.mV.minimum) - 1)
        E = self.mV.maximum if m < 0 else self.mV.minimum
        return [(G + abs(m) * G, I + abs(m) * G * E) for G, I in drives]

    def drive(self, name, i, neurons, sent, k, step, rest):
        """All that is open at a neuron during a step, nS, and the sum of it times reversal potentials, pA."""
        G = self.nS[name] * self.G_r[name][i]
        I = G * float(self.mV.to_millivolts(rest))
        for (source, target, delay), conductance in self.G.items():
            late = k - round(delay * self.duration / step)
            if target == name and late >= 0:
                for j, p in enumerate(sent[source][late]):
                    opened = self.nS[name] * conductance[i, j] * p
                    G += opened
                    I += opened * float(self.mV.to_millivolts(float(neurons[source].valence[j])))
        return G, I
