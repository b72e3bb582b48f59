// Now: one process, its metrics over time, and what is open in it at this moment.

import { Chart, latest } from "../chart.js";
import { fill, h } from "../element.js";
import { ago, bytes, count, duration, percent } from "../format.js";
import { choice, empty } from "../parts.js";
import { change, current } from "../route.js";
import { LiveTable } from "./live_table.js";

const SINCE = [["5", "5 min"], ["", "15 min"], ["60", "1 h"], ["360", "6 h"]];
const USUAL = 15; // minutes
const AT_MOST = 7; // lines in a chart
const LIVE_EVERY = 2000; // ms
const LEAST_WIDE = 60; // seconds

const STATISTICS = { p50: "series-1", p90: "series-2", p99: "series-3", max: "series-4" };
const TYPES = { Task: "series-1", Future: "series-2", TimerHandle: "series-3", Handle: "series-5", Request: "series-6", Transport: "series-7", Server: "series-8" };
const FREE = ["series-1", "series-2", "series-6", "series-7", "series-5", "series-8", "series-3", "series-4"];

const perSecond = (value) => `${count(value)}/s`;
const bySeries = (label, colours) => (chart) => byLabel(chart, label, colours);

/** Name in the answer, title, how a value is said, how series are made of the answer. */
const CHARTS = [
  ["active", "Active resources", count, bySeries("type", TYPES), "alive, by type"],
  ["created", "Created", perSecond, bySeries("type", TYPES), "a second, by type"],
  ["destroyed", "Destroyed", perSecond, (chart) => byLabel(merged(chart, "outcome"), "outcome", { done: "series-1", failed: "series-4", cancelled: "series-3", closed: "series-2", collected: "series-5" }), "a second, by outcome"],
  ["delay", "Loop delay", duration, bySeries("statistic", STATISTICS), "later than asked for"],
  ["run_time", "Run time of callbacks", duration, bySeries("statistic", STATISTICS), "one callback holds the loop"],
  ["ready_time", "Ready time", duration, bySeries("statistic", STATISTICS), "waits for its turn"],
  ["utilization", "Loop utilization", percent, (chart) => byLabel(chart, "thread", {}).map((line) => ({ ...line, label: `thread ${line.label}` })), "part of the time that the loop is busy"],
  ["queue_time", "Executor queue", duration, bySeries("statistic", STATISTICS), "a job waits for a thread"],
  ["blocked", "Blocks", (value) => `${count(value)}/min`, (chart) => byLabel(chart, "", {}, "blocks", "series-4"), "a minute"],
  ["leaked", "Leaked", count, bySeries("type", TYPES), "collected before they were settled, so far"],
  ["cpu", "CPU", percent, bySeries("mode", { user: "series-1", system: "series-3" }), "of one core"],
  ["memory", "Memory", bytes, (chart) => byLabel(chart, "", {}, "resident", "series-2"), ""],
];

export function open(page) {
  const head = h("div", { class: "head" });
  const tiles = h("div", { class: "tiles" });
  const charts = new Map(CHARTS.map(([name, title, show, , note]) => [name, new Chart({ title, show, note })]));
  const grid = h("div", { class: "charts" }, [...charts.values()].map((chart) => chart.element));
  const nothing = h("div");
  const table = new LiveTable(page);
  page.root.append(head, nothing, tiles, grid, table.element);
  let chosen = null;
  const timer = setInterval(() => !document.hidden && chosen && table.refresh(chosen), LIVE_EVERY);

  async function refresh() {
    try {
      const { processes } = await page.ask("processes", { service: page.service() });
      const { parameters } = current();
      // The one that was shown stays, though others were heard of later. What has no agent has no
      // metrics of ours; another process of the service may have.
      const wanted = Number(parameters.process ?? chosen?.id);
      chosen = processes.find((one) => one.id === wanted) ?? processes.find((one) => one.whence) ?? processes[0] ?? null;
      draw(processes, parameters.since ?? "");
      if (!chosen) return;
      const to = Date.now() / 1000;
      const answer = await page.ask("now", { process: chosen.id, from: Math.floor(to - 60 * (parameters.since || USUAL)) });
      show(answer);
      await table.refresh(chosen);
    } catch (error) {
      page.fail(error);
    }
  }

  function draw(processes, since) {
    const list = h("select", { "aria-label": "Process", "data-key": "process", on: { change: (event) => change({ process: event.target.value }, { step: true }) } },
      processes.map((one) => h("option", { value: one.id, selected: one.id === chosen.id }, name(one))));
    fill(
      head,
      h("h1", {}, chosen ? chosen.service : "Now"),
      chosen && h("span", { class: "muted" }, [chosen.runtime, chosen.host, `seen ${ago(chosen.last)}`].filter(Boolean).join(" · ")),
      h("div", { class: "end" }, processes.length > 1 && list, choice("Since", SINCE, since, (value) => change({ since: value }, { step: true }))),
    );
    fill(nothing, !chosen && empty("Nothing has been received yet", "Start a program with the agent, or send OTLP from any other to this dashboard. Metrics come every 15 seconds.", "whence run --dashboard app.py"));
    for (const part of [tiles, grid, table.element]) part.hidden = !chosen;
  }

  function show({ charts: answers, from, to }) {
    // A process that is young fills the chart.
    const begin = Math.max(from, Math.min(chosen.first, to - LEAST_WIDE));
    let any = false;
    for (const [key, , , series] of CHARTS) {
      const answer = answers[key];
      const lines = answer ? series(answer) : [];
      any ||= lines.length > 0;
      charts.get(key).set(answer?.times ?? [], lines, { from: begin, to });
    }
    fill(tiles, tilesOf(answers));
    fill(nothing, !any && empty("No metrics of this process", chosen.whence ? "They come every 15 seconds, and from processes that have run a loop for a second." : "It runs without the agent. Its traces are in the view Traces; with the agent there is much more:", chosen.whence ? null : "whence run --dashboard app.py"));
  }

  refresh();
  return {
    refresh,
    routed: refresh,
    close() {
      clearInterval(timer);
      for (const chart of charts.values()) chart.close();
    },
    keys: table.keys,
  };
}

function name(process) {
  return [`${process.service}`, process.pid && `pid ${process.pid}`, process.whence ? null : "without agent"].filter(Boolean).join(" · ");
}

function tilesOf(answers) {
  const sum = (chart) => (chart?.series.length ? chart.series.reduce((total, one) => total + (latest(one.values) ?? 0), 0) : null);
  const of = (chart, label, value) => {
    const one = chart?.series.find((series) => series.labels[label] === value);
    return one ? latest(one.values) : null;
  };
  const utilization = answers.utilization?.series.map((one) => latest(one.values) ?? 0) ?? [];
  const facts = [
    ["active", sum(answers.active), count],
    ["created", sum(answers.created), perSecond],
    ["loop delay p99", of(answers.delay, "statistic", "p99"), duration],
    ["longest callback", of(answers.run_time, "statistic", "max"), duration],
    ["utilization", utilization.length ? Math.max(...utilization) : null, percent],
    ["blocks a minute", sum(answers.blocked), count, "block"],
    ["leaked", sum(answers.leaked), count, "block"],
  ];
  return facts
    .filter(([, value]) => value !== null)
    .map(([title, value, say, alarm]) => h("div", { class: `card tile ${alarm && value > 0 ? "alarm" : ""}` }, h("span", { class: "muted" }, title), h("b", { class: "number" }, say(value))));
}

/** Lines of a chart, a label's values each: the largest, and the sum of the others. */
function byLabel(chart, label, colours, only = "", onlyColour = "series-1") {
  const lines = chart.series
    .map((one) => ({ label: only || String(one.labels[label] ?? ""), values: one.values, size: Math.max(0, ...one.values.map((value) => value ?? 0)) }))
    .filter((one) => one.label !== "mean" && one.size > 0);
  if (lines.length === 0 && chart.series.length > 0 && only) lines.push({ label: only, values: chart.series[0].values, size: 0 });
  const order = Object.keys(STATISTICS);
  lines.sort((a, b) => (order.includes(a.label) ? order.indexOf(a.label) - order.indexOf(b.label) : b.size - a.size));
  const kept = lines.slice(0, AT_MOST);
  const rest = lines.slice(AT_MOST);
  const used = new Set(kept.map((one) => colours[one.label]).filter(Boolean));
  const free = FREE.filter((one) => !used.has(one));
  const drawn = kept.map((one) => ({ label: one.label, values: one.values, colour: only ? onlyColour : (colours[one.label] ?? free.shift() ?? "series-8") }));
  if (rest.length > 0) drawn.push({ label: `${rest.length} others`, values: summed(rest), colour: "wait" });
  return drawn;
}

/** One series for each value of a label, whatever the others say. */
function merged(chart, label) {
  const groups = new Map();
  for (const one of chart.series) groups.set(one.labels[label], [...(groups.get(one.labels[label]) ?? []), one]);
  return { ...chart, series: [...groups].map(([value, series]) => ({ labels: { [label]: value }, values: summed(series) })) };
}

function summed(lines) {
  return lines[0].values.map((_, index) => lines.reduce((total, one) => (one.values[index] === null ? total : (total ?? 0) + one.values[index]), null));
}
