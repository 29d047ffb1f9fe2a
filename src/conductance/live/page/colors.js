/** The colors of the style sheet, light or dark, for what is painted pixel by pixel. */
"use strict";

/** A color "#rrggbb" as three numbers. */
function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

const SILENT = 0.6;

/** The colors that count at the moment. */
class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ground", "panel", "ink", "quiet", "line", "excitatory", "inhibitory", "dead", "focus", "pad", "ours"]) {
      this[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.numbers = { dead: rgb(this.dead), paper: rgb(this.pad), pen: rgb(this.ink) };
    this.up = shades(rgb(this.ground), rgb(this.excitatory));
    this.down = shades(rgb(this.ground), rgb(this.inhibitory));
  }

  /** The color of a potential z in [-1, 1]: none at the threshold; cells that speak stand out from silent ones. */
  ofPotential(z) {
    const strength = Math.min(Math.abs(z), 1);
    return z >= 0 ? this.up[Math.round(255 * strength ** 0.7)] : this.down[Math.round(SILENT * 255 * strength)];
  }

  /** All colors of potentials, from the least to the greatest, as CSS has them. */
  gradient() {
    const stops = Array.from({ length: 21 }, (_, i) => `rgb(${this.ofPotential(i / 10 - 1).join()})`);
    return `linear-gradient(90deg, ${stops.join()})`;
  }

  /** The color of a conductance as a share of the greatest; negative for an inhibitory one. */
  ofConductance(share) {
    const shade = Math.round(255 * Math.min(Math.abs(share), 1) ** 0.5);
    return share >= 0 ? this.up[shade] : this.down[shade];
  }
}

/** 256 colors from one to another. */
function shades(from, to) {
  return Array.from({ length: 256 }, (_, i) => from.map((value, c) => Math.round(value + ((to[c] - value) * i) / 255)));
}
