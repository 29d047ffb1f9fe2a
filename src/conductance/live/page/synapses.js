/** The synapses of one cell: how much each conducts when open, and how much of it is open now. */
"use strict";

/**
 * All synapses of a cell that reach something, an excitatory and an inhibitory one of each input counted apart.
 * @param {{layer: AverageLayer, unit: number, place: number}} cell
 * @param {Float32Array} input of the layer
 * @param {{block: number}} disturbance
 * @returns {Array<{tap: number, source: number, sign: number, G: number, open: number}>} in nS
 */
function synapsesOf({ layer, unit, place }, input, { block }) {
  const { geometry, nanosiemens } = layer;
  const found = [];
  for (let tap = 0; tap < geometry.taps; tap++) {
    const source = geometry.source(place, tap);
    if (source < 0) continue;
    for (const [{ weights, used }, sign, share] of [[layer.excitatory, 1, 1], [layer.inhibitory, -1, 1 - block]]) {
      if (!used[tap]) continue;
      const G = nanosiemens * share * weights[tap * geometry.units + unit];
      found.push({ tap, source, sign, G, open: G * input[source] });
    }
  }
  return found;
}

/** What pulls at a cell, in nS. */
function pulls({ layer, unit, place }, { leak }) {
  const { units } = layer.geometry;
  const [E, I] = [layer.E, layer.I].map((values) => layer.nanosiemens * values[place * units + unit]);
  const [leakE, leakI] = [layer.leak[unit], layer.leak[units + unit]].map((G) => layer.nanosiemens * leak * G);
  return { excitation: E - leakE, inhibition: I - leakI, leak: leakE + leakI, rest: steadyState(leakE, leakI), E, I };
}

/** Pictures of a cell's synapses: a map for each kind of cell that it reads, a pixel for each synapse. */
class SynapsePicture {
  constructor(canvas, layer) {
    const { channels, kernelHeight: height, kernelWidth: width, taps } = layer.geometry;
    this.window = height * width;
    this.channels = channels;
    this.both = Array.from({ length: taps }).some((_, tap) => layer.excitatory.used[tap] && layer.inhibitory.used[tap]);
    const count = this.both ? 2 * channels : channels;
    this.tiles = new Tiles(canvas, { count, height, width }, { tallest: () => 150, largest: 14 }, false);
  }

  /**
   * @param {Palette} palette
   * @param {Array<object>} synapses as `synapsesOf` gives them
   * @param {string} what "G" or "open"
   * @param {number} greatest what the strongest color stands for
   */
  paint(palette, synapses, what, greatest) {
    const shares = new Float32Array(this.tiles.count * this.window);
    for (const { tap, sign, [what]: value } of synapses) {
      const at = this.both && sign < 0 ? this.channels * this.window + tap : tap;
      shares[at] = (sign * value) / greatest;
    }
    this.tiles.paint((number, place) => palette.ofConductance(shares[number * this.window + place]));
  }
}
