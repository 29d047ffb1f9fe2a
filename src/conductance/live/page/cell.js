/** One cell: what pulls at its membrane, where that balances, and which synapses decide. */
"use strict";

const MOST_DECIDING = 5;
const SVG_LEFT = 40;
const SVG_RIGHT = 280;
const BEAM = 70;

/** A number with so many digits as one can use. */
function rounded(value) {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2).replace(/^0.00$/, "0");
}

class CellPanel {
  /**
   * @param {AverageLayer[]} layers
   * @param {number[]} millivolts at z = -1 and z = 1
   * @param {function(object)} onChosen told a presynaptic cell that is chosen from the list
   */
  constructor(layers, millivolts, onChosen) {
    Object.assign(this, { layers, millivolts, onChosen });
    this.parts = Object.fromEntries(
      ["cell-place", "cell-words", "inhibition", "excitation", "leak", "fulcrum", "voltage", "top", "bottom", "brief", "synapses", "open", "deciding"].map(
        (id) => [id, document.getElementById(id)],
      ),
    );
  }

  /** A potential z in mV, in words. */
  inMillivolts(z, digits) {
    const [least, most] = this.millivolts;
    const value = (least + ((z + 1) * (most - least)) / 2).toFixed(digits);
    return `${Number(value) === 0 ? "0" : value.replace("-", "−")} mV`;
  }

  show(cell, input, disturbance, palette) {
    const { layer, unit, place } = cell;
    if (layer !== this.layer) {
      this.layer = layer;
      this.pictures = ["synapses", "open"].map((id) => new SynapsePicture(this.parts[id], layer));
    }
    const z = layer.z[place * layer.geometry.units + unit];
    const dead = layer.dead[place * layer.geometry.units + unit] === 1;
    const found = synapsesOf(cell, input, disturbance);
    this.sayPlace(cell);
    this.showLever(pulls(cell, disturbance), z, dead, openProbability(z, layer.threshold[unit], layer.gateWidth[unit]));
    const greatest = Math.max(...found.map((synapse) => synapse.G), 1e-9);
    const greatestOpen = Math.max(...found.map((synapse) => synapse.open), 1e-9);
    this.pictures[0].paint(palette, found, "G", greatest);
    this.pictures[1].paint(palette, found, "open", greatestOpen);
    this.listDeciding(cell, found);
  }

  sayPlace({ layer, unit, place }) {
    const { height, width } = layer.geometry;
    const where = height * width > 1 ? `, row ${Math.floor(place / width) + 1}, column ${(place % width) + 1}` : "";
    const kind = layer.valence === null ? "" : layer.valence[unit] >= 0 ? ". It excites its readers" : ". It inhibits its readers";
    const what = height * width > 1 ? "kind" : "cell";
    this.parts["cell-place"].textContent = `Layer ${this.layers.indexOf(layer) + 1}, ${what} ${unit + 1}${where}${kind}.`;
  }

  /** The lever: weights as heavy as the conductances, each where it pulls to; the fulcrum where they balance. */
  showLever({ excitation, inhibition, leak, rest }, z, dead, open) {
    const { parts } = this;
    const at = (potential) => SVG_LEFT + ((potential + 1) / 2) * (SVG_RIGHT - SVG_LEFT);
    for (const [disc, G] of [[parts.inhibition, inhibition], [parts.excitation, excitation], [parts.leak, leak]]) {
      const radius = Math.min(3.2 * Math.sqrt(Math.max(G, 0)), BEAM / 2);
      disc.setAttribute("r", radius.toFixed(1));
      disc.setAttribute("cy", (BEAM - radius).toFixed(1));
    }
    parts.leak.setAttribute("cx", at(rest).toFixed(1));
    parts.fulcrum.setAttribute("transform", `translate(${at(z).toFixed(1)} 0)`);
    parts.voltage.setAttribute("x", Math.min(Math.max(at(z), 30), 290).toFixed(1));
    parts.voltage.textContent = this.inMillivolts(z, 0);
    parts.bottom.textContent = `inhibition to ${this.inMillivolts(-1, 0)}`;
    parts.top.textContent = `excitation to ${this.inMillivolts(1, 0)}`;
    const state = dead ? "It is dead and sends on nothing." : open > 0 ? `It is ${(100 * open).toFixed(0)} % open.` : "It is silent.";
    parts.brief.textContent = `This cell is at ${this.inMillivolts(z, 0)}. See why`;
    parts["cell-words"].textContent =
      `Excitation ${rounded(excitation)} nS, inhibition ${rounded(inhibition)} nS, leak ${rounded(leak)} nS: ` +
      `${this.inMillivolts(z, 1)}. ${state}`;
  }

  listDeciding({ layer, place, unit }, found) {
    const total = layer.nanosiemens * (layer.E[place * layer.geometry.units + unit] + layer.I[place * layer.geometry.units + unit]);
    const most = found.filter((synapse) => synapse.open > 0).sort((a, b) => b.open - a.open).slice(0, MOST_DECIDING);
    const key = `${this.layers.indexOf(layer)} ${place} ${unit} ${most.map(({ tap, sign, open }) => [tap, sign, open.toFixed(2)]).join()}`;
    if (key === this.listed) return;
    this.listed = key;
    const before = this.layers[this.layers.indexOf(layer) - 1];
    this.parts.deciding.replaceChildren(...most.map((synapse) => this.decidingRow(synapse, layer, before, total)));
    if (most.length === 0) this.parts.deciding.textContent = "No synapse is open: the leak alone.";
  }

  decidingRow({ source, sign, open }, layer, before, total) {
    const { channels, inputWidth } = layer.geometry;
    const from = { channel: source % channels, place: Math.floor(source / channels) };
    const [row, column] = [Math.floor(from.place / inputWidth) + 1, (from.place % inputWidth) + 1];
    const isCell = before !== undefined && before.geometry.size === layer.geometry.inputHeight * inputWidth * channels;
    const item = document.createElement("li");
    const line = document.createElement(isCell ? "button" : "div");
    line.className = sign > 0 ? "excitatory" : "inhibitory";
    line.style.setProperty("--share", `${((100 * open) / total).toFixed(1)}%`);
    const manyPlaces = layer.geometry.inputHeight * inputWidth > 1;
    const kind = isCell ? (manyPlaces ? "kind" : "cell") : "input";
    const name = before === undefined ? "pixel" : `${kind} ${from.channel + 1}`;
    const words = `${name}${manyPlaces ? ` at ${row}, ${column}` : ""} ${sign > 0 ? "excites" : "inhibits"}`;
    for (const text of [words, `${rounded(open)} nS`]) {
      const span = document.createElement("span");
      span.textContent = text;
      line.append(span);
    }
    if (isCell) {
      line.type = "button";
      line.addEventListener("click", () => this.onChosen({ layer: before, unit: from.channel, place: from.place }));
    }
    item.append(line);
    return item;
  }
}
