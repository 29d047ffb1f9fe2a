/** The drawing pad: strokes of a mouse, a finger or the arrow keys, made into an image as those of MNIST are. */
"use strict";

const BOX = 20 / 28; // MNIST's digits fill a box of 20 of 28 pixels, with their center of mass in the middle
const PEN = 2.4 / 28;
const LEAST = 0.3; // a drawing smaller than this share of the pad is not blown up
const STEP = 0.03; // of the pen, for an arrow key

class Pad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number[]} shape (channels, height, width) of an image
   * @param {function(Float32Array)} onDrawn told the image after each move of the pen
   */
  constructor(canvas, [channels, height, width], onDrawn) {
    Object.assign(this, { canvas, channels, height, width, onDrawn });
    this.strokes = [];
    this.shown = null;
    this.drawing = false;
    this.pen = { at: [0.5, 0.5], down: false };
    this.small = document.createElement("canvas");
    this.small.width = width;
    this.small.height = height;
    this.context = this.small.getContext("2d", { willReadFrequently: true });
    this.listen();
  }

  get empty() {
    return this.strokes.length === 0 && this.shown === null;
  }

  listen() {
    const { canvas } = this;
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
      this.drawing = true;
      this.begin(point(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.drawing) return;
      const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of all.length ? all : [event]) this.strokes[this.strokes.length - 1].push(point(each));
      this.changed();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.drawing = false));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { pen } = this;
    if (event.key in moves) {
      pen.at = pen.at.map((value, axis) => Math.min(Math.max(value + STEP * moves[event.key][axis], 0.05), 0.95));
      if (pen.down) this.strokes[this.strokes.length - 1].push(pen.at);
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) this.begin(pen.at);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.clear();
    } else return;
    event.preventDefault();
    this.changed();
  }

  begin(point) {
    this.shown = null;
    this.strokes.push([point]);
    this.changed();
  }

  /** Show an image instead of strokes. */
  show(pixels) {
    this.strokes = [];
    this.pen.down = false;
    this.shown = pixels;
    this.paint();
  }

  clear() {
    this.strokes = [];
    this.pen.down = false;
    this.shown = null;
    this.changed();
  }

  changed() {
    this.paint();
    this.onDrawn(this.image());
  }

  /** The strokes as an image: as large as MNIST's digits are, with the center of mass in the middle. */
  image() {
    if (this.strokes.length === 0) return new Float32Array(this.channels * this.height * this.width);
    const [low, high] = [0, 1].map((axis) => this.strokes.flat().map((point) => point[axis])).reduce(
      ([least, most], values) => [[...least, Math.min(...values)], [...most, Math.max(...values)]],
      [[], []],
    );
    const extent = Math.max(high[0] - low[0], high[1] - low[1], LEAST);
    const scale = (BOX - PEN) / extent;
    const middle = low.map((value, axis) => (value + high[axis]) / 2);
    const values = this.raster(scale, middle);
    const mass = values.reduce((sum, value) => sum + value, 0);
    if (mass === 0) return this.inChannels(values);
    const center = [0, 0];
    values.forEach((value, i) => {
      center[0] += (value * ((i % this.width) + 0.5)) / this.width / mass;
      center[1] += (value * (Math.floor(i / this.width) + 0.5)) / this.height / mass;
    });
    return this.inChannels(this.raster(scale, middle.map((value, axis) => value + (center[axis] - 0.5) / scale)));
  }

  /** The strokes in pixels, enlarged, with a point of the pad in the middle. */
  raster(scale, middle) {
    const { context, width, height } = this;
    context.clearRect(0, 0, width, height);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = PEN * width;
    context.strokeStyle = "#fff";
    for (const stroke of this.strokes) {
      context.beginPath();
      [...stroke, stroke[stroke.length - 1]].forEach(([x, y]) => {
        context.lineTo((0.5 + scale * (x - middle[0])) * width, (0.5 + scale * (y - middle[1])) * height);
      });
      context.stroke();
    }
    const { data } = context.getImageData(0, 0, width, height);
    return Float32Array.from({ length: width * height }, (_, i) => data[4 * i + 3] / 255);
  }

  inChannels(values) {
    if (this.channels === 1) return values;
    return Float32Array.from({ length: values.length * this.channels }, (_, i) => values[Math.floor(i / this.channels)]);
  }

  /** The pad as one sees it. */
  paint() {
    const { canvas, strokes, shown, palette } = this;
    const size = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!size || !palette) return;
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, size, size);
    if (shown) {
      paintImage(this.small, shown, this.channels, palette);
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.small, 0, 0, size, size);
    }
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 0.075 * size;
    context.strokeStyle = palette.ink;
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of [...stroke, stroke[stroke.length - 1]]) context.lineTo(x * size, y * size);
      context.stroke();
    }
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) this.paintPen(context, size);
  }

  paintPen(context, size) {
    const { at, down } = this.pen;
    context.beginPath();
    context.arc(at[0] * size, at[1] * size, 0.03 * size, 0, 2 * Math.PI);
    context.lineWidth = 0.008 * size;
    context.strokeStyle = context.fillStyle = this.palette.focus;
    if (down) context.fill();
    context.stroke();
  }
}

/** Paint an image (place after place, channels side by side) on a canvas of its own size, gray as ink on paper. */
function paintImage(canvas, values, channels, palette) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(canvas.width, canvas.height);
  const { paper, pen } = palette.numbers;
  for (let i = 0; i < canvas.width * canvas.height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = values[i * channels + (channels === 1 ? 0 : c)];
      image.data[4 * i + c] = channels === 1 ? paper[c] + (pen[c] - paper[c]) * value : 255 * value;
    }
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
