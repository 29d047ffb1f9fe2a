/** Small maps side by side, each of a few pixels: the cells of a layer, or the synapses of a cell. */
"use strict";

const GAP = 4;
const LINE = 2; // high, under a map

class Tiles {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{count: number, height: number, width: number}} shape so many maps of that many pixels
   * @param {{tallest: function(): number, largest: number}} limits of the whole, and of one pixel, in CSS pixels
   * @param {boolean} lined whether lines stand under the maps
   */
  constructor(canvas, { count, height, width }, { tallest, largest }, lined) {
    Object.assign(this, { canvas, count, height, width, limit: tallest, largest });
    this.gap = height * width > 1 ? GAP : 1;
    this.below = this.gap + (lined ? LINE + 1 : 0); // a map
    this.strip = document.createElement("canvas"); // all maps, one below the other, pixel by pixel
    this.strip.width = width;
    this.strip.height = height * count;
    this.context = this.strip.getContext("2d");
    this.pixels = this.context.createImageData(width, height * count);
    this.pixels.data.fill(255);
  }

  /** Choose how many maps stand in a row, so that pixels are as large as the limits allow. */
  layOut() {
    const room = this.canvas.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    const tallest = this.limit();
    if (room === 0 || (room === this.room && ratio === this.ratio && tallest === this.tallest)) return;
    Object.assign(this, { room, ratio, tallest });
    let best = { size: 0, columns: this.count, rows: 1 };
    for (let rows = this.count; rows >= 1; rows--) {
      const columns = Math.ceil(this.count / rows); // the last row as full as can be
      const wide = (room - this.gap * (columns - 1)) / columns / this.width;
      const high = (tallest / rows - this.below) / this.height;
      const size = Math.min(Math.floor(wide * ratio) / ratio, Math.floor(high * ratio) / ratio, this.largest);
      if (size >= best.size) best = { size, columns, rows };
    }
    Object.assign(this, best);
    this.size = Math.max(best.size, 1 / ratio);
    this.tall = this.rows * (this.height * this.size + this.below);
    this.canvas.width = Math.round(room * ratio);
    this.canvas.height = Math.round(this.tall * ratio);
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
  }

  /** The left upper corner of a map, in CSS pixels. */
  corner(number) {
    const { ratio } = this;
    const snap = (value) => Math.round(value * ratio) / ratio;
    return [
      snap((number % this.columns) * (this.width * this.size + this.gap)),
      snap(Math.floor(number / this.columns) * (this.height * this.size + this.below)),
    ];
  }

  /**
   * Paint all maps.
   * @param {function(number, number): number[]} colorOf the color of a pixel, by map and place in it
   * @param {function(number): string|null} [lineOf] the color of the line under a map
   */
  paint(colorOf, lineOf = null) {
    this.layOut();
    if (!this.room) return;
    const { data } = this.pixels;
    const places = this.height * this.width;
    for (let number = 0, at = 0; number < this.count; number++) {
      for (let place = 0; place < places; place++, at += 4) {
        const color = colorOf(number, place);
        data[at] = color[0];
        data[at + 1] = color[1];
        data[at + 2] = color[2];
      }
    }
    this.context.putImageData(this.pixels, 0, 0);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.room, this.tall);
    pen.imageSmoothingEnabled = false;
    const [wide, high] = [this.width * this.size, this.height * this.size];
    for (let number = 0; number < this.count; number++) {
      const [x, y] = this.corner(number);
      pen.drawImage(this.strip, 0, number * this.height, this.width, this.height, x, y, wide, high);
      const line = lineOf && lineOf(number);
      if (!line) continue;
      pen.fillStyle = line;
      pen.fillRect(x, y + high + 1, wide, LINE);
    }
  }

  /** Frame one pixel, and its map. */
  frame(number, place, color) {
    if (!this.room) return;
    const pen = this.canvas.getContext("2d");
    const [x, y] = this.corner(number);
    pen.strokeStyle = color;
    pen.lineWidth = 1;
    if (this.height * this.width > 1) pen.strokeRect(x - 1, y - 1, this.width * this.size + 2, this.height * this.size + 2);
    pen.lineWidth = 2;
    const [row, column] = [Math.floor(place / this.width), place % this.width];
    pen.strokeRect(x + column * this.size - 1, y + row * this.size - 1, this.size + 2, this.size + 2);
  }

  /** The map and the place in it at a point of the canvas, in CSS pixels; the nearest, where it is between maps. */
  at(x, y) {
    const clip = (value, most) => Math.min(Math.max(Math.floor(value), 0), most);
    const column = clip(x / (this.width * this.size + this.gap), this.columns - 1);
    const row = clip(y / (this.height * this.size + this.below), this.rows - 1);
    const number = Math.min(row * this.columns + column, this.count - 1);
    const [left, top] = this.corner(number);
    const place = clip((y - top) / this.size, this.height - 1) * this.width + clip((x - left) / this.size, this.width - 1);
    return { number, place };
  }
}
