/** What the networks answer, and how sure they are. */
"use strict";

class Answers {
  /**
   * @param {string[]} classes their names
   * @param {boolean} hasOther whether there is a network to compare with
   * @param {function(number)} onAsked told a class that one asks about
   */
  constructor(classes, hasOther, onAsked) {
    Object.assign(this, { classes, hasOther });
    const bars = document.getElementById("bars");
    this.bars = classes.map((name, i) => {
      const bar = document.createElement("button");
      bar.type = "button";
      bar.className = "bar";
      bar.addEventListener("click", () => onAsked(i));
      const [up, down] = [document.createElement("i"), document.createElement("i")];
      const label = document.createElement("b");
      label.textContent = name.slice(0, 5);
      bar.append(up, label, ...(hasOther ? [down] : []));
      bars.append(bar);
      return { bar, up, down };
    });
    for (const part of document.querySelectorAll("[data-beside]")) part.hidden = !hasOther;
  }

  /**
   * @param {Network} ours
   * @param {Network|null} theirs
   * @param {number|null} label the class that is right, if it is known
   * @param {boolean} nothing whether there is nothing to see
   */
  show(ours, theirs, label, nothing) {
    const words = [this.showOne("ours", ours, label, nothing)];
    if (theirs) words.push(this.showOne("theirs", theirs, label, nothing));
    document.getElementById("bars").setAttribute("aria-label", `Chances. ${words.join(". ")}`);
  }

  /** Mark the class that one asks about. */
  mark(asked) {
    this.bars.forEach(({ bar }, i) => bar.setAttribute("aria-pressed", String(i === asked)));
  }

  showOne(id, network, label, nothing) {
    const chances = softmax(network.scores);
    const output = document.getElementById(id);
    const { answer } = network;
    const text = nothing ? "–" : this.classes[answer];
    if (output.textContent !== text) output.textContent = text;
    const isWrong = !nothing && label !== null && answer !== label;
    output.parentElement.classList.toggle("wrong", isWrong);
    const sure = `${(100 * chances[answer]).toFixed(0)} % sure${isWrong ? ", wrong" : ""}`;
    document.getElementById(`${id}-share`).textContent = nothing ? "" : sure;
    this.bars.forEach(({ bar, up, down }, i) => {
      (id === "ours" ? up : down).style.transform = `scaleY(${nothing ? 0 : chances[i].toFixed(3)})`;
      if (id === "ours") bar.setAttribute("aria-label", `why ${this.classes[i]}? ${(100 * chances[i]).toFixed(0)} %`);
    });
    return `${id === "ours" ? "Conductances" : "Affine and BatchNorm"}: ${text}`;
  }
}
