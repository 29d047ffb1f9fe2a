/** The page: what is seen, what is done to it, and what follows, frame after frame. */
"use strict";

const SLOWED = 200;
const BUDGET = 7; // ms of each frame for what takes many
const OPENING = 1400; // ms in which the membranes open up when the page is opened
const OPENING_SLOWED = 40;

class Page {
  constructor(data) {
    this.data = data;
    this.shape = data.network.input;
    this.images = this.readImages();
    this.network = new Network(data.network);
    this.beside = data.beside && new Network(data.beside.network);
    this.eye = new Eye(this.images[0].length);
    this.pixels = this.images[0];
    this.label = null;
    this.retina = document.getElementById("retina");
    [, this.retina.height, this.retina.width] = this.shape;
    this.opening = 0; // ms that are left of it
    this.clock = null; // ms of slow motion, null while everything is at its steady state
    this.layers = this.network.membranes;
    this.pad = new Pad(document.getElementById("pad"), this.shape, (pixels) => this.see(pixels, null));
    this.examples = new Examples(
      document.getElementById("examples"),
      { images: this.images, labels: data.images.labels, classes: data.classes, shape: this.shape },
      (number) => this.pick(number),
    );
    this.answers = new Answers(data.classes, this.beside !== null, (answer) => this.ask(answer));
    this.reasons = new Reasons(data.network, data.classes);
    const chosen = (cell) => this.choose(cell);
    this.maps = this.layers.map((layer, i) => new LayerMap(document.getElementById("maps"), layer, i + 1, chosen));
    this.cell = new CellPanel(this.layers, data.network.millivolts, chosen);
    this.course = new Course(document.getElementById("course"), data.network.millivolts);
    this.sliders = new Sliders(document.getElementById("sliders"), () => this.disturb());
    this.survey = this.makeSurvey();
    this.say();
    this.listen();
    this.recolor();
    this.pick(0);
    this.chosen = this.mostAwake(this.layers[0]);
    this.disturb();
    this.open();
  }

  get disturbance() {
    return this.sliders.values;
  }

  readImages() {
    const { count, pixels } = this.data.images;
    const [channels, height, width] = this.shape;
    const bytes = unpacked(pixels);
    const size = channels * height * width;
    return Array.from({ length: count }, (_, n) =>
      Float32Array.from({ length: size }, (_, i) => bytes[n * size + (i % channels) * height * width + Math.floor(i / channels)] / 255),
    );
  }

  makeSurvey() {
    const { labels } = this.data.images;
    document.getElementById("survey").hidden = labels === null;
    if (labels === null) return null;
    const networks = [{ name: "conductances", data: this.data.network }];
    if (this.data.beside) networks.push({ name: "affine + BatchNorm", data: this.data.beside.network });
    return new Survey(this.images, labels, networks);
  }

  say() {
    const { name, about, beside, images } = this.data;
    const accuracy = (known) => (known.test_accuracy ? `, ${known.test_accuracy.toFixed(2)} % of its test images right` : "");
    const lines = [`Network: ${name}${accuracy(about)}.`];
    if (beside) lines.push(`Beside it: ${beside.name}${accuracy(beside.about)}.`);
    else document.getElementById("seen").textContent = "what the network sees";
    lines.push(`Images: ${images.what}. The last step, from cells to answers, is a weighted sum.`);
    if (beside) lines.push("Where inhibition is blocked, the negative weights of the other network shrink; it has no leak.");
    document.getElementById("credits").textContent = lines.join(" ");
    document.getElementById("least").textContent = this.cell.inMillivolts(-1, 0);
    document.getElementById("most").textContent = this.cell.inMillivolts(1, 0);
  }

  listen() {
    document.getElementById("clear").addEventListener("click", () => this.pad.clear());
    document.getElementById("another").addEventListener("click", () => this.pick((this.picked + 1) % this.images.length));
    document.getElementById("slow").addEventListener("click", () => this.toggleSlow());
    document.getElementById("rest").addEventListener("click", () => this.fromRest());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolor());
    new ResizeObserver(() => this.repaint()).observe(document.body);
  }

  recolor() {
    this.palette = new Palette();
    this.pad.palette = this.palette;
    this.examples.paint(this.palette);
    document.getElementById("shades").style.background = this.palette.gradient();
    this.repaint();
  }

  repaint() {
    this.pad.paint();
    this.wake();
  }

  /** Look at other pixels. */
  see(pixels, label) {
    this.pixels = pixels;
    this.label = label;
    this.asked = null;
    document.getElementById("hint").hidden = !this.pad.empty;
    if (label === null) this.examples.mark(-1);
    this.wake();
  }

  /** Look at a test image. */
  pick(number) {
    this.picked = number;
    this.pad.show(this.images[number]);
    this.examples.mark(number);
    this.see(this.images[number], this.data.images.labels ? this.data.images.labels[number] : null);
  }

  choose(cell) {
    this.chosen = cell;
    this.course.clear();
    this.wake();
  }

  /** Ask why, or why not, a class is the answer; asked again, or of another picture, it is the answer itself. */
  ask(answer) {
    this.asked = this.asked === answer ? null : answer;
    this.wake();
  }

  disturb() {
    if (this.survey) this.survey.start(this.disturbance);
    this.wake();
  }

  /** The cell of a layer that is most depolarized, away from the edge where there is one. */
  mostAwake(layer) {
    this.network.settle(this.eye.look(this.pixels, this.disturbance), this.disturbance);
    const cell = layer.z.indexOf(Math.max(...layer.z));
    const { units } = layer.geometry;
    return { layer, unit: cell % units, place: Math.floor(cell / units) };
  }

  /** The page opens with membranes that leave rest, unless one prefers it still. */
  open() {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.network.rest();
    this.opening = OPENING;
    this.wake();
  }

  toggleSlow() {
    const isSlow = this.clock === null;
    this.clock = isSlow ? 0 : null;
    this.opening = 0;
    document.getElementById("slow").setAttribute("aria-pressed", String(isSlow));
    document.getElementById("rest").hidden = !isSlow;
    document.getElementById("trace").hidden = !isSlow;
    document.getElementById("clock").textContent = isSlow ? `1 : ${SLOWED}` : "";
    if (isSlow) this.fromRest();
    this.wake();
  }

  fromRest() {
    this.network.rest();
    this.clock = 0;
    this.course.clear();
  }

  /** Ask for a frame. */
  wake() {
    this.stale = true;
    if (!this.waiting) this.waiting = requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.waiting = null;
    const passed = Math.min(now - (this.before ?? now), 50);
    this.before = now;
    const moving = this.clock !== null || this.opening > 0;
    if (this.stale || moving) this.advance(moving, passed);
    if (this.stale) this.explain();
    this.stale = false;
    const end = performance.now() + BUDGET;
    this.reasons.work(end, this.palette);
    if (this.survey) this.survey.work(end);
    if (moving || this.busy) this.waiting = requestAnimationFrame((later) => this.frame(later));
    else this.before = undefined;
  }

  /** Whether there is something left to compute that takes more than a frame. */
  get busy() {
    return !this.reasons.done || (this.survey !== null && !this.survey.done);
  }

  /** Begin to ask which pixels speak for the answer, or for the class that one asks about. */
  explain() {
    this.answers.mark(this.reasons.start(this.eye.seen, this.disturbance, this.asked));
  }

  advance(moving, passed) {
    const { disturbance, network } = this;
    const seen = this.eye.look(this.pixels, disturbance);
    if (moving) {
      const ms = passed / (this.opening > 0 ? OPENING_SLOWED : SLOWED);
      network.relax(seen, disturbance, ms);
      if (this.clock !== null) this.note(ms);
      this.opening = Math.max(this.opening - passed, 0);
    }
    if (this.clock === null && this.opening === 0) network.settle(seen, disturbance);
    if (this.beside) this.beside.settle(seen, disturbance);
    this.paint(seen);
  }

  note(ms) {
    const { layer, unit, place } = this.chosen;
    const cell = place * layer.geometry.units + unit;
    this.clock += ms;
    this.course.note(this.clock, layer.z[cell], steadyState(layer.E[cell], layer.I[cell]));
  }

  paint(seen) {
    const { palette, chosen, network } = this;
    paintImage(this.retina, seen, this.shape[0], palette);
    for (const map of this.maps) map.paint(palette, chosen);
    const before = network.layers.indexOf(chosen.layer) - 1;
    this.cell.show(chosen, before < 0 ? network.input : network.layers[before].p, this.disturbance, palette);
    if (this.clock !== null) {
      this.course.paint(palette);
      document.getElementById("clock").textContent = `${this.clock.toFixed(1)} ms, 1 : ${SLOWED}`;
    }
    this.answers.show(network, this.beside, this.label, this.pad.empty);
  }
}

const page = new Page(JSON.parse(document.getElementById("data").textContent));
