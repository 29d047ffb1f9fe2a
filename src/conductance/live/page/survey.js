/** How many of all test images the networks get right, disturbed as the sliders say. A few at a time. */
"use strict";

class Survey {
  /**
   * @param {Float32Array[]} images
   * @param {number[]} labels
   * @param {Array<{name: string, data: object}>} networks
   */
  constructor(images, labels, networks) {
    Object.assign(this, { images, labels });
    const shares = document.getElementById("shares");
    this.networks = networks.map(({ name, data }) => {
      const row = document.createElement("div");
      row.className = "share";
      const [title, rail, bar, value] = ["span", "div", "i", "b"].map((tag) => document.createElement(tag));
      title.textContent = name;
      rail.append(bar);
      row.append(title, rail, value);
      shares.append(row);
      return { network: new Network(data), bar, value, right: 0 };
    });
    this.eye = new Eye(images[0].length);
    document.getElementById("survey-count").textContent = images.length;
  }

  /** Begin anew. */
  start(disturbance) {
    this.disturbance = { ...disturbance };
    this.next = 0;
    for (const each of this.networks) each.right = 0;
  }

  get done() {
    return this.next >= this.images.length;
  }

  /** Go on until a moment. */
  work(end) {
    if (this.done) return;
    while (!this.done && performance.now() < end) {
      const seen = this.eye.look(this.images[this.next], this.disturbance);
      for (const each of this.networks) {
        each.network.settle(seen, this.disturbance);
        each.right += each.network.answer === this.labels[this.next] ? 1 : 0;
      }
      this.next += 1;
    }
    for (const { bar, value, right } of this.done ? this.networks : []) {
      bar.style.transform = `scaleX(${right / this.next})`;
      value.textContent = `${((100 * right) / this.next).toFixed(1)} %`;
    }
  }
}
