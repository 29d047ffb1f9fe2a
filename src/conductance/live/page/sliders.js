/** The sliders: what one can do to the networks, and in which words. */
"use strict";

/** Nothing is disturbed. */
const UNDISTURBED = Object.freeze({ contrast: 1, noise: 0, lesion: 0, block: 0, leak: 1 });

const percent = (value) => `${value < 0.1 && value > 0 ? (100 * value).toFixed(1) : (100 * value).toFixed(0)} %`;

/** Each with its range; values that span powers of ten have `log`. */
const SLIDERS = [
  { name: "contrast", label: "Contrast", from: 0.001, to: 1, log: true, say: percent, hint: "the picture fades" },
  { name: "noise", label: "Noise", from: 0, to: 0.5, say: (value) => value.toFixed(2), hint: "on every pixel" },
  { name: "lesion", label: "Dead cells", from: 0, to: 0.9, say: percent, hint: "always the same ones first" },
  { name: "block", label: "Blocked inhibition", from: 0, to: 1, say: percent, hint: "as by a GABA antagonist" },
  { name: "leak", label: "Leak", from: 0.1, to: 100, log: true, say: (value) => `× ${rounded(value).replace(".0", "")}`, hint: "channels always open" },
];

class Sliders {
  /** @param {function(object)} onChanged told all values after each change */
  constructor(parent, onChanged) {
    this.values = { ...UNDISTURBED };
    this.onChanged = onChanged;
    this.undo = document.getElementById("undo");
    this.inputs = SLIDERS.map((slider) => this.add(parent, slider));
    this.undo.addEventListener("click", () => this.reset());
  }

  add(parent, slider) {
    const label = document.createElement("label");
    label.className = "slider";
    const [name, output, input, hint] = ["span", "output", "input", "small"].map((tag) => document.createElement(tag));
    name.textContent = slider.label;
    hint.textContent = slider.hint;
    Object.assign(input, { type: "range", min: 0, max: 100, step: 0.5, id: `slider-${slider.name}` });
    input.setAttribute("aria-label", `${slider.label}: ${slider.hint}`);
    const show = () => {
      output.textContent = slider.say(this.values[slider.name]);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    const set = () => {
      input.value = toPosition(slider, this.values[slider.name]);
      show();
    };
    input.addEventListener("input", () => {
      this.values[slider.name] = toValue(slider, Number(input.value));
      show();
      this.changed();
    });
    label.append(name, output, input, hint);
    parent.insertBefore(label, document.getElementById("survey"));
    set();
    return set;
  }

  reset() {
    Object.assign(this.values, UNDISTURBED);
    this.inputs.forEach((set) => set());
    this.changed();
  }

  changed() {
    this.undo.disabled = Object.keys(UNDISTURBED).every((name) => this.values[name] === UNDISTURBED[name]);
    this.onChanged(this.values);
  }
}

/** A slider's value where its knob stands at 0 to 100. */
function toValue({ from, to, log }, position) {
  const share = position / 100;
  if (position === 100) return to;
  const value = log ? from * (to / from) ** share : from + share * (to - from);
  return Math.abs(value - 1) < 0.01 && log ? 1 : value;
}

function toPosition({ from, to, log }, value) {
  return 100 * (log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from));
}
