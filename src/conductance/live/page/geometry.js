/** Which cells read which: every layer is a convolution, a linear one with a kernel as large as all that it reads. */
"use strict";

/**
 * For each coordinate that is read, the pairs of kernel element and cell that read it.
 * @returns {Array<Array<[number, number]>>}
 */
function readers(size, kernel, stride, padding, cells) {
  return Array.from({ length: size }, (_, at) => {
    const pairs = [];
    for (let tap = 0; tap < kernel; tap++) {
      const cell = (at + padding - tap) / stride;
      if (Number.isInteger(cell) && cell >= 0 && cell < cells) pairs.push([tap, cell]);
    }
    return pairs;
  });
}

/** The sizes of a layer, and which of its cells reads what. Values lie place after place, units side by side. */
class Geometry {
  constructor({ reads, gives, kernel, stride, padding }) {
    [this.channels, this.inputHeight, this.inputWidth] = reads;
    [this.units, this.height, this.width] = gives;
    [this.kernelHeight, this.kernelWidth] = kernel;
    this.stride = stride;
    this.padding = padding;
    this.places = this.height * this.width;
    this.size = this.places * this.units;
    this.taps = this.channels * this.kernelHeight * this.kernelWidth;
    this.rows = readers(this.inputHeight, kernel[0], stride[0], padding[0], this.height);
    this.columns = readers(this.inputWidth, kernel[1], stride[1], padding[1], this.width);
  }

  /**
   * What a synapse of a cell reads: the index in the layer's input, -1 beyond the edge, where nothing is open.
   * @param {number} place of the cell
   * @param {number} tap (channel, row and column of the kernel)
   */
  source(place, tap) {
    const kx = tap % this.kernelWidth;
    const ky = Math.floor(tap / this.kernelWidth) % this.kernelHeight;
    const channel = Math.floor(tap / (this.kernelWidth * this.kernelHeight));
    const y = Math.floor(place / this.width) * this.stride[0] + ky - this.padding[0];
    const x = (place % this.width) * this.stride[1] + kx - this.padding[1];
    if (y < 0 || y >= this.inputHeight || x < 0 || x >= this.inputWidth) return -1;
    return (y * this.inputWidth + x) * this.channels + channel;
  }

  /**
   * Add what every input brings to every cell that reads it.
   * @param {Float32Array} input
   * @param {Float32Array} weights (tap, unit)
   * @param {Uint8Array|null} used which taps have any weight
   * @param {Float32Array} sums (place, unit), which it adds to
   */
  spread(input, weights, used, sums) {
    const { channels, units, kernelHeight, kernelWidth, inputWidth, width } = this;
    for (let y = 0; y < this.inputHeight; y++) {
      for (const [ky, cellY] of this.rows[y]) {
        for (let x = 0; x < inputWidth; x++) {
          const first = (y * inputWidth + x) * channels;
          for (const [kx, cellX] of this.columns[x]) {
            const cell = (cellY * width + cellX) * units;
            for (let c = 0; c < channels; c++) {
              const p = input[first + c];
              const tap = (c * kernelHeight + ky) * kernelWidth + kx;
              if (p === 0 || (used !== null && used[tap] === 0)) continue;
              const weight = tap * units;
              for (let u = 0; u < units; u++) sums[cell + u] += p * weights[weight + u];
            }
          }
        }
      }
    }
  }
}
