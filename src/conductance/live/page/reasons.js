/** Which parts of a picture speak for an answer: each is wiped out in turn, and the score falls or rises. */
"use strict";

class Reasons {
  /**
   * @param {object} data the network's
   * @param {string[]} classes their names
   */
  constructor(data, classes) {
    const [channels, height, width] = data.input;
    Object.assign(this, { channels, height, width, classes });
    this.step = Math.max(1, Math.round(width / 14)); // from one wiped place to the next, and the width of the wiper
    this.network = new Network(data); // of its own: the other one shows its state
    this.canvas = document.getElementById("reasons");
    Object.assign(this.canvas, { height, width });
    this.words = document.getElementById("reasons-words");
    this.places = [];
  }

  /**
   * Begin anew.
   * @param {Float32Array} seen what the network sees
   * @param {object} disturbance
   * @param {number|null} asked the class that is asked about; the network's answer if none is
   * @returns {number} that class
   */
  start(seen, disturbance, asked) {
    Object.assign(this, { seen: seen.slice(), disturbance: { ...disturbance } });
    this.network.settle(this.seen, this.disturbance);
    this.answer = asked ?? this.network.answer;
    this.words.textContent = this.classes[this.answer];
    this.sums = new Float32Array(this.width * this.height);
    this.weights = new Float32Array(this.width * this.height);
    this.brightness = this.sums.map((_, i) => this.seen.subarray(i * this.channels, (i + 1) * this.channels).reduce((a, b) => a + b));
    this.brightest = this.brightness.reduce((most, value) => Math.max(most, value), 0);
    this.places = [];
    for (let y = this.step / 2; y < this.height; y += this.step) {
      for (let x = this.step / 2; x < this.width; x += this.step) this.places.push([x - 0.5, y - 0.5]);
    }
    this.whole = this.score(this.seen);
    return this.answer;
  }

  get done() {
    return this.places.length === 0;
  }

  /** How far the score of the class is above the greatest of the others. */
  score(pixels) {
    this.network.settle(pixels, this.disturbance);
    const { scores } = this.network;
    return scores[this.answer] - Math.max(...scores.filter((_, i) => i !== this.answer));
  }

  /** Go on until a moment; paint when all places have been wiped. */
  work(end, palette) {
    while (!this.done && performance.now() < end) this.wipe(...this.places.pop());
    if (this.done) this.paint(palette);
  }

  /** Wipe out one place, softly, and note what its pixels were worth. */
  wipe(x, y) {
    const wiper = this.sums.map((_, i) => {
      const distance = ((i % this.width) - x) ** 2 + (Math.floor(i / this.width) - y) ** 2;
      return distance > 9 * this.step ** 2 ? 0 : Math.exp(-distance / (2 * this.step ** 2));
    });
    if (!wiper.some((share, i) => share * this.brightness[i] > 0.1 * this.brightest)) return;
    const worth = this.whole - this.score(this.seen.map((value, i) => value * (1 - wiper[Math.floor(i / this.channels)])));
    wiper.forEach((share, i) => {
      this.sums[i] += share * worth;
      this.weights[i] += share;
    });
  }

  /** What each pixel is worth: positive where the score falls without it. */
  get worth() {
    return this.sums.map((sum, i) => (this.weights[i] > 0 ? sum / this.weights[i] : 0));
  }

  /** Red for what speaks for the class, blue for what speaks against it, as bright as the picture is there. */
  paint(palette) {
    if (!this.seen) return;
    const { canvas, worth, brightness, brightest } = this;
    const shown = worth.map((value, i) => (brightest > 0 ? (value * brightness[i]) / brightest : 0));
    const greatest = shown.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    shown.forEach((value, i) => image.data.set([...palette.ofConductance(value / greatest), 255], 4 * i));
    context.putImageData(image, 0, 0);
  }
}
