/** Real test images to pick from: the first of each class as buttons. */
"use strict";

class Examples {
  /**
   * @param {HTMLElement} parent
   * @param {{images: Float32Array[], labels: number[]|null, classes: string[], shape: number[]}} data
   * @param {function(number)} onChosen told the number of an image
   */
  constructor(parent, { images, labels, classes, shape }, onChosen) {
    Object.assign(this, { parent, images, labels, shape });
    const numbers = classes.slice(0, 10).map((_, i) => (labels ? labels.indexOf(i) : i)).filter((n) => n >= 0 && n < images.length);
    this.buttons = numbers.map((number) => {
      const button = document.createElement("button");
      button.type = "button";
      const name = labels ? classes[labels[number]] : `image ${number + 1}`;
      button.setAttribute("aria-label", labels ? `test image: ${name}` : name);
      button.setAttribute("aria-pressed", "false");
      const canvas = document.createElement("canvas");
      [canvas.height, canvas.width] = shape.slice(1);
      button.append(canvas);
      button.addEventListener("click", () => onChosen(number));
      parent.append(button);
      return { number, button, canvas };
    });
  }

  paint(palette) {
    for (const { number, canvas } of this.buttons) paintImage(canvas, this.images[number], this.shape[0], palette);
  }

  mark(chosen) {
    for (const { number, button } of this.buttons) button.setAttribute("aria-pressed", String(number === chosen));
  }
}
