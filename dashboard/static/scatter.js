// Traces as points: when they began, and how long they took. The list beside it says the same in
// words, so it is hidden from who cannot see it.

import { h } from "./element.js";
import { clock, duration } from "./format.js";
import { colour } from "./theme.js";

const HEIGHT = 120;
const LEFT = 64;
const BOTTOM = 18;
const NEAR = 14; // px
const FONT = "11px system-ui, sans-serif";

export class Scatter {
  constructor(container, choose) {
    this.container = container;
    this.traces = [];
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.hint = h("div", { class: "hint", hidden: true });
    container.append(this.canvas, this.hint);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.#point(null));
    this.canvas.addEventListener("click", (event) => {
      const near = this.#near(event);
      if (near) choose(near);
    });
    this.redraw = () => this.#draw();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(container);
    window.addEventListener("theme", this.redraw);
  }

  set(traces) {
    this.traces = traces;
    this.#draw();
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("theme", this.redraw);
  }

  #draw() {
    const width = this.container.clientWidth;
    if (width === 0 || this.traces.length === 0) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    this.canvas.style.height = `${HEIGHT}px`;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const starts = this.traces.map((trace) => trace.start);
    const [first, last] = [Math.min(...starts), Math.max(...starts)];
    // Durations go over several powers of ten.
    const logs = this.traces.map((trace) => Math.log10(Math.max(trace.duration, 1e-6)));
    const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs) + 1e-9)];
    const x = (start) => LEFT + ((start - first) / (last - first || 1)) * (width - LEFT - 14);
    const y = (log) => 10 + (1 - (log - low) / (high - low || 1)) * (HEIGHT - BOTTOM - 16);
    context.font = FONT;
    context.fillStyle = colour("muted");
    context.strokeStyle = colour("line");
    for (let log = low; log <= high; log += 1) {
      const at = Math.round(y(log)) + 0.5;
      context.fillText(duration(10 ** log), 8, at + 4);
      context.beginPath();
      context.moveTo(LEFT - 4, at);
      context.lineTo(width - 10, at);
      context.stroke();
    }
    context.fillText(clock(first), LEFT, HEIGHT - 4);
    const end = clock(last);
    context.fillText(end, width - 10 - context.measureText(end).width, HEIGHT - 4);
    this.points = this.traces.map((trace, index) => [x(trace.start), y(logs[index]), trace]);
    const colours = { plain: colour("run"), block: colour("block"), error: colour("error") };
    for (const [left, top, trace] of this.points) {
      context.fillStyle = trace.errors > 0 ? colours.error : trace.blocked > 0 || trace.delayed > 0 ? colours.block : colours.plain;
      context.globalAlpha = 0.75;
      context.beginPath();
      context.arc(left, top, Math.min(7, 2.5 + Math.log10(trace.spans + 1)), 0, 7);
      context.fill();
    }
  }

  #near(event) {
    const box = this.canvas.getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    let nearest = null;
    let least = NEAR ** 2;
    for (const [x, y, trace] of this.points ?? []) {
      const distance = (x - left) ** 2 + (y - top) ** 2;
      if (distance < least) [nearest, least] = [trace, distance];
    }
    return nearest;
  }

  #point(event) {
    const near = event && this.#near(event);
    this.hint.hidden = !near;
    this.canvas.style.cursor = near ? "pointer" : "";
    if (!near) return;
    this.hint.textContent = `${near.name} · ${duration(near.duration)} · ${clock(near.start, true)}`;
    const box = this.canvas.getBoundingClientRect();
    const left = event.clientX - box.left;
    this.hint.style.left = `${Math.min(left + 12, box.width - this.hint.offsetWidth - 4)}px`;
    this.hint.style.top = `${Math.max(2, event.clientY - box.top - 30)}px`;
  }
}
