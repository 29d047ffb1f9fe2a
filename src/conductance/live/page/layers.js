/** What a layer computes of what it reads. */
"use strict";

/** Cells whose membranes average conductances. */
class AverageLayer {
  constructor(data, picofarads) {
    this.name = data.name;
    this.geometry = new Geometry(data);
    this.nanosiemens = data.nanosiemens;
    this.picofarads = picofarads;
    this.pooled = data.pooled;
    this.threshold = unpacked(data.gate.threshold);
    this.gateWidth = unpacked(data.gate.width);
    this.rectifies = data.gate.rectifies;
    this.leak = unpacked(data.leak);
    this.valence = data.valence && unpacked(data.valence);
    const { taps, units, size } = this.geometry;
    this.excitatory = { weights: new Float32Array(taps * units), used: new Uint8Array(taps) };
    this.inhibitory = { weights: new Float32Array(taps * units), used: new Uint8Array(taps) };
    for (const { G, e } of data.synapses) this.addSynapses(unpacked(G), unpacked(e));
    this.E = new Float32Array(size);
    this.I = new Float32Array(size);
    this.z = new Float32Array(size);
    this.p = new Float32Array(size);
    this.dead = new Uint8Array(size);
  }

  /** A synapse of valence e is an excitatory one of G (1 + e)/2 beside an inhibitory one of G (1 - e)/2. */
  addSynapses(G, e) {
    const { taps, units } = this.geometry;
    for (const [synapses, sign] of [[this.excitatory, 1], [this.inhibitory, -1]]) {
      for (let tap = 0; tap < taps; tap++) {
        const share = (1 + sign * e[tap]) / 2;
        if (share <= 0) continue;
        synapses.used[tap] = 1;
        for (let u = 0; u < units; u++) synapses.weights[tap * units + u] += share * G[tap * units + u];
      }
    }
  }

  /**
   * E and I of every cell: what the open synapses and the leak let through.
   * @param {Float32Array} input open probabilities
   * @param {{block: number, leak: number}} disturbance share of inhibition that is blocked; factor of the leak
   */
  conductances(input, { block, leak }) {
    const { E, I, geometry } = this;
    const { units, size } = geometry;
    I.fill(0);
    geometry.spread(input, this.inhibitory.weights, this.inhibitory.used, I);
    for (let i = 0; i < size; i++) {
      E[i] = leak * this.leak[i % units];
      I[i] = (1 - block) * I[i] + leak * this.leak[units + (i % units)];
    }
    geometry.spread(input, this.excitatory.weights, this.excitatory.used, E);
    if (this.pooled) this.poolInterneurons();
  }

  /** One interneuron at each place sits at the mean potential of its cells, and acts back on all of them. */
  poolInterneurons() {
    const { E, I, geometry } = this;
    const { places, units } = geometry;
    for (let place = 0; place < places; place++) {
      let mean = 0;
      for (let i = place * units; i < (place + 1) * units; i++) mean += steadyState(E[i], I[i]) / units;
      for (let i = place * units; i < (place + 1) * units; i++) {
        const total = E[i] + I[i];
        E[i] += Math.max(-mean, 0) * total;
        I[i] += Math.max(mean, 0) * total;
      }
    }
  }

  /** Every membrane at its steady state. */
  settle() {
    for (let i = 0; i < this.z.length; i++) this.z[i] = steadyState(this.E[i], this.I[i]);
    this.open();
  }

  /** Every membrane some milliseconds later. */
  relax(ms) {
    const { E, I, z, nanosiemens, picofarads } = this;
    for (let i = 0; i < z.length; i++) z[i] = later(z[i], nanosiemens * E[i], nanosiemens * I[i], ms, picofarads);
    this.open();
  }

  /** Every membrane where its leak alone holds it. */
  rest() {
    const { units } = this.geometry;
    for (let i = 0; i < this.z.length; i++) {
      this.z[i] = steadyState(this.leak[i % units], this.leak[units + (i % units)]);
    }
    this.open();
  }

  /** What the cells send on; dead ones nothing. */
  open() {
    const { z, p, dead, threshold, gateWidth, rectifies } = this;
    const { units } = this.geometry;
    for (let i = 0; i < z.length; i++) {
      const u = i % units;
      p[i] = dead[i] ? 0 : rectifies ? openProbability(z[i], threshold[u], gateWidth[u]) : z[i];
    }
  }
}

/** Weighted sums, with what BatchNorm makes of them. */
class AffineLayer {
  constructor(data) {
    this.name = data.name;
    this.geometry = new Geometry(data);
    this.rectifies = data.rectifies;
    this.shift = unpacked(data.shift);
    const scale = unpacked(data.scale);
    const { units, size } = this.geometry;
    this.weights = unpacked(data.weight).map((weight, i) => weight * scale[i % units]);
    this.blocked = { share: 0, weights: this.weights };
    this.p = new Float32Array(size);
    this.dead = new Uint8Array(size);
  }

  /** The weights with a share of all negative ones taken away: what comes nearest to blocked inhibition. */
  weightsWhere(block) {
    if (block !== this.blocked.share) {
      this.blocked = { share: block, weights: this.weights.map((w) => (w < 0 ? (1 - block) * w : w)) };
    }
    return this.blocked.weights;
  }

  /** The layer's output for an input; `lesioned` cells stay silent. */
  compute(input, block) {
    const { p, shift, dead, geometry } = this;
    for (let i = 0; i < p.length; i++) p[i] = shift[i % geometry.units];
    geometry.spread(input, this.weightsWhere(block), null, p);
    for (let i = 0; i < p.length; i++) {
      if (dead[i] || (this.rectifies && p[i] < 0)) p[i] = 0;
    }
  }
}

/** The largest or the mean of a window. */
class PoolLayer {
  constructor(data) {
    this.name = data.name;
    this.geometry = new Geometry(data);
    this.takesLargest = data.how === "max";
    this.p = new Float32Array(this.geometry.size);
  }

  /** The layer's output for an input. */
  compute(input) {
    const { geometry, p, takesLargest } = this;
    const { units, places, kernelHeight, kernelWidth } = geometry;
    const window = kernelHeight * kernelWidth;
    for (let place = 0; place < places; place++) {
      for (let u = 0; u < units; u++) {
        let largest = -Infinity;
        let sum = 0;
        for (let tap = 0; tap < window; tap++) {
          const from = geometry.source(place, u * window + tap);
          if (from < 0) continue;
          largest = Math.max(largest, input[from]);
          sum += input[from];
        }
        p[place * units + u] = takesLargest ? largest : sum / window;
      }
    }
  }
}
