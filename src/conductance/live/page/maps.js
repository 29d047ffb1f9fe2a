/** The membranes of one layer as maps, of which one can choose a cell. */
"use strict";

class LayerMap {
  /**
   * @param {HTMLElement} parent
   * @param {AverageLayer} layer
   * @param {number} number of the layer, from 1
   * @param {function({layer: AverageLayer, unit: number, place: number})} onChosen
   */
  constructor(parent, layer, number, onChosen) {
    Object.assign(this, { layer, number, onChosen });
    const { units, height, width } = layer.geometry;
    const title = document.createElement("p");
    title.textContent =
      height * width > 1
        ? `Layer ${number}: ${units} kinds of cells, each at ${height} × ${width} places`
        : `Layer ${number}: ${units} cells`;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", `${title.textContent}. Arrow keys choose a cell.`);
    parent.append(title, this.canvas);
    const tallest = () => Math.min(Math.max((window.innerHeight - 430) / 3, 97), 180);
    const largest = height * width > 1 ? 12 : 14;
    this.tiles = new Tiles(this.canvas, { count: units, height, width }, { tallest, largest }, layer.valence !== null);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    let pressed = false;
    const choose = (event) => {
      const { number, place } = this.tiles.at(event.offsetX, event.offsetY);
      this.onChosen({ layer: this.layer, unit: number, place });
    };
    canvas.addEventListener("pointerdown", (event) => {
      pressed = event.pointerType === "mouse";
      choose(event);
    });
    canvas.addEventListener("pointermove", (event) => pressed && choose(event));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) canvas.addEventListener(end, () => (pressed = false));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const { units, height, width } = this.layer.geometry;
    const [right, down] = moves[event.key];
    const { unit, place } = this.chosen ?? { unit: 0, place: 0 };
    let [x, y, next] = [(place % width) + right, Math.floor(place / width) + down, unit];
    if (x < 0 || x >= width) [x, next] = [(x + width) % width, unit + right];
    if (y < 0 || y >= height) [y, next] = [(y + height) % height, unit + down * this.tiles.columns];
    if (next >= 0 && next < units) this.onChosen({ layer: this.layer, unit: next, place: y * width + x });
  }

  /** Paint every membrane. */
  paint(palette, chosen) {
    const { z, dead, valence, geometry } = this.layer;
    this.chosen = chosen.layer === this.layer ? chosen : null;
    this.tiles.paint(
      (unit, place) => {
        const cell = place * geometry.units + unit;
        return dead[cell] ? palette.numbers.dead : palette.ofPotential(z[cell]);
      },
      (unit) => (valence === null ? null : valence[unit] >= 0 ? palette.excitatory : palette.inhibitory),
    );
    if (this.chosen) this.tiles.frame(chosen.unit, chosen.place, palette.focus);
  }
}
