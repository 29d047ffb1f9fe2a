/** The voltage of one cell in time, while membranes relax in slow motion. */
"use strict";

const SHOWN = 30; // ms

class Course {
  constructor(canvas, millivolts) {
    Object.assign(this, { canvas, millivolts });
    this.clear();
  }

  clear() {
    this.points = [];
  }

  /** Note the potential now, and where it is heading. */
  note(ms, z, heading) {
    this.points.push({ ms, z, heading });
    while (this.points[0].ms < ms - SHOWN) this.points.shift();
  }

  paint(palette) {
    const { canvas, points } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || points.length === 0) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const start = Math.max(points[points.length - 1].ms - SHOWN, 0);
    const x = (ms) => 30 + ((ms - start) / SHOWN) * (width - 34);
    const y = (z) => 8 + ((1 - z) / 2) * (height - 26);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = palette.quiet;
    pen.strokeStyle = palette.line;
    for (const z of [-1, 0, 1]) {
      pen.beginPath();
      pen.moveTo(30, y(z));
      pen.lineTo(width, y(z));
      pen.stroke();
      pen.textAlign = "right";
      pen.fillText(`${(this.millivolts[0] + ((z + 1) / 2) * (this.millivolts[1] - this.millivolts[0])).toFixed(0)}`, 26, y(z) + 4);
    }
    pen.textAlign = "left";
    pen.fillText(`mV over ${SHOWN} ms`, 30, height - 3);
    for (const [value, color, dash] of [["heading", palette.quiet, [2, 3]], ["z", palette.ours, []]]) {
      pen.strokeStyle = color;
      pen.lineWidth = value === "z" ? 2 : 1.2;
      pen.setLineDash(dash);
      pen.beginPath();
      for (const point of points) pen.lineTo(x(point.ms), y(point[value]));
      pen.stroke();
    }
  }
}
