// A chart of the view Now: lines over time, drawn by uPlot, with a legend that says the values under
// the pointer, or the latest.

import uPlot from "./vendor/uPlot.esm.js";
import { h } from "./element.js";
import { clock } from "./format.js";
import { colour } from "./theme.js";

const HEIGHT = 150;
const FONT = "11px system-ui, sans-serif";
const TICKS_APART = 70;
const MINUTES_ALONE = 300; // seconds

export class Chart {
  /** `show(value)` makes text of a value. */
  constructor({ title, show, note = "" }) {
    this.title = title;
    this.show = show;
    this.plot = null;
    this.series = [];
    this.times = [];
    this.legend = h("ul", { class: "legend" });
    this.canvas = h("div", { class: "plot", role: "img" });
    this.element = h("figure", { class: "card chart" }, h("figcaption", {}, h("h2", {}, title), note && h("span", { class: "muted" }, note)), this.legend, this.canvas);
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT }));
    this.observer.observe(this.canvas);
    this.onTheme = () => this.#rebuild();
    window.addEventListener("theme", this.onTheme);
  }

  /** `series`: [{label, colour: name in tokens.css, values}]; `from` and `to` are the axis. */
  set(times, series, { from, to }) {
    const same = series.map((one) => one.label + one.colour).join() === this.series.map((one) => one.label + one.colour).join();
    this.times = times;
    this.series = series;
    this.range = [from, to];
    this.element.hidden = series.length === 0;
    if (!same || !this.plot) this.#rebuild();
    else this.plot.setData(this.#data());
    this.#say(null);
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("theme", this.onTheme);
    this.plot?.destroy();
  }

  /** Of a time of day: with seconds where minutes would say the same twice. */
  #letters() {
    return this.range[1] - this.range[0] < MINUTES_ALONE ? 8 : 5;
  }

  #data() {
    return [this.times, ...this.series.map((one) => one.values)];
  }

  #rebuild() {
    this.plot?.destroy();
    this.plot = null;
    if (this.series.length === 0) return;
    const lines = { stroke: colour("muted"), font: FONT, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        width: this.canvas.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "now", setSeries: false } },
        scales: { x: { time: true, range: () => this.range }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
        axes: [
          { ...lines, space: TICKS_APART, size: 24, values: (_, ticks) => ticks.map((at) => clock(at).slice(0, this.#letters())) },
          { ...lines, size: 58, values: (_, ticks) => ticks.map((value) => this.show(value)) },
        ],
        series: [{}, ...this.series.map((one) => ({ label: one.label, stroke: colour(one.colour), width: 1.75, spanGaps: true, points: { show: this.times.length < 3 } }))],
        hooks: { setCursor: [(plot) => this.#say(plot.cursor.idx ?? null)] },
      },
      this.#data(),
      this.canvas,
    );
  }

  #say(index) {
    const said = this.series.map((one) => {
      const value = index === null ? latest(one.values) : one.values[index];
      return [one, value === null || value === undefined ? "–" : this.show(value)];
    });
    this.legend.replaceChildren(...said.map(([one, text]) =>
      h("li", {}, h("i", { style: { background: `var(--${one.colour})` } }), one.label, " ", h("b", {}, text))));
    if (index === null) this.canvas.setAttribute("aria-label", `${this.title}: ${said.map(([one, text]) => `${one.label} ${text}`).join(", ")}`);
  }
}

/** The last value that there is. */
export function latest(values) {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    if (values[index] !== null && values[index] !== undefined) return values[index];
  }
  return null;
}
