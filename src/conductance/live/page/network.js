/** A network: its layers one after the other, and the state that they are in. */
"use strict";

/** Numbers in [0, 1) that look random and are the same each time. */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Network {
  /** @param {object} data as the page carries it */
  constructor(data) {
    const kinds = { average: AverageLayer, affine: AffineLayer, pool: PoolLayer };
    this.preprocessing = data.preprocessing;
    this.layers = data.layers.map((layer) => new kinds[layer.kind](layer, data.picofarads));
    this.input = new Float32Array(data.input.reduce((a, b) => a * b));
    this.last = this.layers[this.layers.length - 1];
    const cells = this.layers.filter((layer) => layer.dead && layer !== this.last);
    this.fates = cells.map((layer, number) => {
      const random = randomNumbers(number + 1);
      return { layer, fate: Float32Array.from(layer.dead, random) };
    });
    this.deadShare = 0;
  }

  /** The layers whose cells have membranes. */
  get membranes() {
    return this.layers.filter((layer) => layer instanceof AverageLayer);
  }

  /** The score of each class. */
  get scores() {
    return this.last.p;
  }

  /** The class with the highest score. */
  get answer() {
    return this.scores.indexOf(Math.max(...this.scores));
  }

  /** Let a share of all hidden cells die, always the same ones first. */
  lesion(share) {
    if (share === this.deadShare) return;
    this.deadShare = share;
    for (const { layer, fate } of this.fates) {
      for (let i = 0; i < fate.length; i++) layer.dead[i] = fate[i] < share ? 1 : 0;
    }
  }

  /** What the network takes of pixels in [0, 1]. */
  see(pixels, disturbance) {
    this.lesion(disturbance.lesion);
    const { scale, shift, clips } = this.preprocessing;
    for (let i = 0; i < pixels.length; i++) {
      const value = scale[i % scale.length] * pixels[i] + shift[i % scale.length];
      this.input[i] = clips ? Math.min(Math.max(value, 0), 1) : value;
    }
  }

  /** Everything at its steady state: one pass. */
  settle(pixels, disturbance) {
    this.see(pixels, disturbance);
    let input = this.input;
    for (const layer of this.layers) {
      if (layer instanceof AverageLayer) {
        layer.conductances(input, disturbance);
        layer.settle();
      } else layer.compute(input, layer === this.last ? 0 : disturbance.block);
      input = layer.p;
    }
  }

  /** Everything some milliseconds later: each membrane moves on, by what the others were when the time began. */
  relax(pixels, disturbance, ms) {
    this.see(pixels, disturbance);
    const inputs = [this.input, ...this.layers.slice(0, -1).map((layer) => layer.p)];
    this.membranes.forEach((layer) => layer.conductances(inputs[this.layers.indexOf(layer)], disturbance));
    this.layers.forEach((layer, i) => {
      if (layer instanceof AverageLayer) layer.relax(ms);
      else layer.compute(inputs[i], layer === this.last ? 0 : disturbance.block);
    });
  }

  /** Every membrane where its leak alone holds it. */
  rest() {
    this.membranes.forEach((layer) => layer.rest());
  }
}
