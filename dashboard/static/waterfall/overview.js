// The whole trace at a glance, above the waterfall. Dragging over it zooms in, a double click out.

import { h } from "../element.js";
import { colour } from "../theme.js";

const HEIGHT = 46;
const LEAST = 4; // px of a drag that is meant

export class Overview {
  /** `zoom(from, to)` in seconds. */
  constructor(zoom) {
    this.zoom = zoom;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.window = h("div", { class: "window" });
    this.element = h("div", { class: "overview", title: "Drag to zoom in, double click for all of it" }, this.canvas, this.window);
    this.element.addEventListener("pointerdown", (event) => this.#drag(event));
    this.element.addEventListener("dblclick", () => zoom(0, this.duration));
    this.redraw = () => this.#draw();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.element);
    window.addEventListener("theme", this.redraw);
  }

  set({ nodes, blocks, duration, from, to }) {
    Object.assign(this, { nodes, blocks, duration, from, to });
    this.#draw();
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("theme", this.redraw);
  }

  #draw() {
    const width = this.element.clientWidth;
    if (!this.nodes || width === 0) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const scale = width / this.duration;
    const thickness = Math.max(1, Math.min(3, (HEIGHT - 8) / this.nodes.length));
    const [plain, failed] = [colour("run"), colour("error")];
    for (const [index, { span }] of this.nodes.entries()) {
      context.fillStyle = span.status === "error" ? failed : plain;
      context.globalAlpha = 0.7;
      context.fillRect(span.start * scale, 4 + (index / this.nodes.length) * (HEIGHT - 8), Math.max(1, span.duration * scale), thickness);
    }
    context.globalAlpha = 1;
    context.fillStyle = colour("block");
    for (const block of this.blocks) context.fillRect(block.at * scale, 0, Math.max(2, block.time * scale), 3);
    this.window.style.left = `${this.from * scale}px`;
    this.window.style.width = `${Math.max(2, (this.to - this.from) * scale)}px`;
    this.window.hidden = this.from <= 0 && this.to >= this.duration;
  }

  #drag(down) {
    const box = this.element.getBoundingClientRect();
    const at = (event) => Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const first = at(down);
    let last = first;
    this.element.setPointerCapture(down.pointerId);
    const move = (event) => {
      last = at(event);
      this.window.hidden = false;
      this.window.style.left = `${Math.min(first, last) * box.width}px`;
      this.window.style.width = `${Math.abs(last - first) * box.width}px`;
    };
    const up = () => {
      this.element.removeEventListener("pointermove", move);
      if (Math.abs(last - first) * box.width >= LEAST) this.zoom(Math.min(first, last) * this.duration, Math.max(first, last) * this.duration);
      else this.#draw();
    };
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("pointerup", up, { once: true });
  }
}
