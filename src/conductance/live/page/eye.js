/** What reaches the networks: an image, made paler and noisy. Both networks see the same. */
"use strict";

/** Numbers of a normal distribution with mean 0 and deviation 1, always the same. */
function normalNumbers(count, seed) {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

class Eye {
  /** @param {number} size so many values has an image */
  constructor(size, seed = 7) {
    this.noise = normalNumbers(size, seed);
    this.seen = new Float32Array(size);
  }

  /**
   * The pixels times the contrast, plus noise, within [0, 1].
   * @param {Float32Array} pixels in [0, 1]
   * @param {{contrast: number, noise: number}} disturbance
   */
  look(pixels, { contrast, noise }) {
    for (let i = 0; i < pixels.length; i++) {
      this.seen[i] = Math.min(Math.max(contrast * pixels[i] + noise * this.noise[i], 0), 1);
    }
    return this.seen;
  }
}
