// Traces: search, a picture of durations over time, and the list.

import { fill, h } from "../element.js";
import { clock, count, duration, plural } from "../format.js";
import { choice, empty, from, SINCE, split } from "../parts.js";
import { change, current, go, href } from "../route.js";
import { Scatter } from "../scatter.js";

const TYPING = 250; // ms
const PAGE = 100;

export function open(page) {
  const head = h("div", { class: "head" });
  const picture = h("div", { class: "card scatter" });
  const list = h("ol", { class: "list", "aria-label": "Traces" });
  const more = h("div", { class: "after" });
  const said = h("p", { class: "muted", role: "status" });
  const scatter = new Scatter(picture, (trace) => go("trace", { id: trace.trace_id, service: page.service() }));
  let pages = 1;
  let timer = null;
  const form = search();
  page.root.append(head, form.element, picture, said, list, more);

  function search() {
    const at = current().parameters;
    // Who goes on to the next field quickly means both.
    let typed = {};
    const later = (name) => (event) => {
      typed[name] = event.target.value.trim();
      clearTimeout(timer);
      timer = setTimeout(() => {
        change(typed);
        typed = {};
      }, TYPING);
    };
    const text = (name, label, attributes) => h("input", { name, "aria-label": label, placeholder: label, value: at[name] ?? "", on: { input: later(name) }, ...attributes });
    const inputs = {
      name: text("name", "Name of a span", { type: "search", "data-search": true, list: "names" }),
      min: text("min", "min ms", { type: "number", min: 0, step: "any" }),
      max: text("max", "max ms", { type: "number", min: 0, step: "any" }),
    };
    const names = h("datalist", { id: "names" });
    page.ask("names", { service: page.service() }).then(
      (answer) => names.replaceChildren(...answer.names.slice(0, 500).map((name) => h("option", { value: name }))),
      page.fail,
    );
    const pressed = (name, words) => {
      const button = h("button", { type: "button", on: { click: () => change({ [name]: current().parameters[name] ? "" : "1" }, { step: true }) } }, words);
      return [name, button];
    };
    const buttons = Object.fromEntries([pressed("error", "failed"), pressed("blocked", "blocked")]);
    const clear = h("button", { type: "button", class: "plain", on: { click: () => go("traces", { service: page.service() }) } }, "Clear");
    const element = h("form", { class: "search", role: "search", on: { submit: (event) => event.preventDefault() } }, Object.values(inputs), names, Object.values(buttons), clear);
    return {
      element,
      show(parameters) {
        for (const [name, input] of Object.entries(inputs)) {
          if (document.activeElement !== input) input.value = parameters[name] ?? "";
        }
        for (const [name, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(Boolean(parameters[name])));
        clear.hidden = ![...Object.keys(inputs), ...Object.keys(buttons)].some((name) => parameters[name]);
      },
    };
  }

  function draw() {
    const { parameters } = current();
    form.show(parameters);
    fill(
      head,
      h("h1", {}, "Traces"),
      h("div", { class: "end" },
        choice("Order", [["", "latest"], ["longest", "longest"]], parameters.order ?? "", (value) => change({ order: value }, { step: true })),
        choice("Since", SINCE, parameters.since ?? "", (value) => change({ since: value }, { step: true }))),
    );
  }

  async function refresh() {
    const { parameters } = current();
    const asked = {
      service: page.service(), name: parameters.name, error: parameters.error, blocked: parameters.blocked,
      min: seconds(parameters.min), max: seconds(parameters.max), from: from(parameters.since), limit: PAGE * pages,
    };
    try {
      const answer = await page.ask("traces", asked);
      show(answer, parameters);
    } catch (error) {
      page.fail(error);
    }
  }

  function show({ traces, complete, next }, parameters) {
    scatter.set(traces);
    picture.hidden = traces.length < 2;
    const longest = Math.max(...traces.map((trace) => trace.duration), 0);
    const ordered = parameters.order === "longest" ? [...traces].sort((a, b) => b.duration - a.duration) : traces;
    fill(list, ordered.map((trace) => row(trace, longest, page.service())));
    said.textContent = traces.length === 0 ? "" : `${plural(traces.length, "trace")}${next ? ", and there are more" : ""}${complete ? "" : "; the search took too long and ended early"}`;
    const searched = ["name", "min", "max", "error", "blocked", "since", "service"].some((name) => parameters[name]);
    fill(
      more,
      next && h("button", { "data-key": "more", on: { click: () => { pages += 1; refresh(); } } }, `Show ${PAGE} more`),
      traces.length === 0 && (searched
        ? empty("No trace fits", "Search by a part of a span's name, a duration in milliseconds, failures, or blocks; or look further back.")
        : empty("No traces yet", "Start a program with the agent, or send OTLP from any other to this dashboard:", "whence run --dashboard app.py")),
    );
  }

  function routed() {
    pages = 1;
    draw();
    return refresh();
  }

  const step = (by) => () => {
    const rows = [...list.querySelectorAll("a.row")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
  };
  routed();
  return {
    refresh,
    routed,
    close() {
      clearTimeout(timer);
      scatter.close();
    },
    keys: { ArrowDown: ["next trace", step(1)], j: ["next trace", step(1)], ArrowUp: ["trace before", step(-1)], k: ["trace before", step(-1)] },
  };
}

function seconds(milliseconds) {
  return milliseconds ? Number(milliseconds) / 1000 : "";
}

function row(trace, longest, service) {
  const share = longest > 0 ? Math.max(0.5, (trace.duration / longest) * 100) : 100;
  const others = trace.services.filter((one) => one !== trace.service);
  return h(
    "li",
    {},
    h(
      "a",
      { class: "row card", href: href("trace", { id: trace.trace_id, service }), "data-key": trace.trace_id },
      h("span", { class: "name" }, h("b", {}, trace.name || "unnamed"), " ", h("span", { class: "muted" }, [trace.service, ...others].join(" · "))),
      h("span", { class: "marks" },
        trace.errors > 0 && h("span", { class: "tag error" }, trace.failed ? "failed" : `${count(trace.errors)} failed below`),
        trace.blocked > 0 && h("span", { class: "tag block" }, `blocked ${duration(trace.blocked)}`),
        trace.delayed > 0 && h("span", { class: "tag block" }, `delayed ${duration(trace.delayed)}`)),
      h("span", { class: "spans muted number" }, plural(trace.spans, "span")),
      h("time", { class: "when muted number", datetime: new Date(trace.start * 1000).toISOString() }, clock(trace.start, true)),
      h("span", { class: "length number" }, duration(trace.duration)),
      h("span", { class: "bar" }, h("span", { class: "fill", style: { width: `${share}%` } }, split(trace) ?? h("span", { class: "split" }, h("i", { class: "unsplit", style: { width: "100%" } })))),
    ),
  );
}
