// The page: the bar, the view that the address names, live updates, keys.
//
// A view is a module with `open(page)`, which gives {refresh, routed, close, keys}:
//   refresh()       there is news, ask again
//   routed(route)   the address has other parameters
//   close()         another view comes
//   keys            {key: [what it does, function]}
// A `page` is {root, route, service(), ask(view, parameters), fail(error)}.

import { ask } from "./api.js";
import { h } from "./element.js";
import { Help } from "./help.js";
import { count } from "./format.js";
import { Live } from "./live.js";
import * as route from "./route.js";
import * as theme from "./theme.js";
import * as blockers from "./views/blockers.js";
import * as flow from "./views/flow.js";
import * as leaks from "./views/leaks.js";
import * as now from "./views/now.js";
import * as trace from "./views/trace.js";
import * as traces from "./views/traces.js";

const VIEWS = { now, traces, blockers, leaks, flow };
const BELOW = { trace: { view: trace, of: "traces" } };
const STATES = { live: "live", paused: "paused", lost: "not connected" };

const root = document.getElementById("view");
const notice = document.getElementById("notice");
let shown = null;

theme.start();

const links = Object.keys(VIEWS).map((name) => h("a", { href: route.href(name) }, name[0].toUpperCase() + name.slice(1)));
document.querySelector(".views").append(...links);

const services = h("select", {
  "aria-label": "Service",
  on: { change: () => route.change({ service: services.value, process: "" }, { step: true }) },
});
const pulse = h("button", { class: "pulse plain", on: { click: () => live.toggle() } }, h("span", { class: "words" }, "connecting"));
const help = new Help(() => ({ page: KEYS, view: shown?.view.keys ?? {} }));
document.querySelector(".controls").append(
  services,
  pulse,
  h("button", { class: "plain", "aria-label": "Dark or light", title: "Dark or light (t)", on: { click: theme.toggle } }, "◐"),
  h("button", { class: "plain", "aria-label": "Keys", title: "Keys (?)", on: { click: () => help.toggle() } }, "?"),
);

const live = new Live({
  refresh: async () => {
    await Promise.all([listServices(), shown?.view.refresh()]);
  },
  tell: (state, rate) => {
    pulse.dataset.state = state;
    const words = state === "live" && rate > 0 ? `${count(Math.round(rate))} spans/s` : STATES[state];
    pulse.firstChild.textContent = words;
    pulse.setAttribute("aria-label", `${words}, live updates`);
    pulse.setAttribute("aria-pressed", String(state === "paused"));
    pulse.title = state === "paused" ? "Go on with live updates (p)" : "Pause live updates (p)";
  },
});

const KEYS = {
  ...Object.fromEntries(Object.keys(VIEWS).map((name, index) => [String(index + 1), [`the view ${name}`, () => route.go(name, { service: service() })]])),
  "/": ["search or filter", () => root.querySelector("[data-search]")?.focus()],
  p: ["pause live updates, or go on", () => live.toggle()],
  t: ["dark or light", theme.toggle],
  "?": ["these keys", () => help.toggle()],
};

function service() {
  return route.current().parameters.service ?? "";
}

async function listServices() {
  const names = (await ask("services").catch(() => ({ services: [] }))).services.map((one) => one.name);
  const chosen = service();
  if (chosen && !names.includes(chosen)) names.push(chosen);
  const wanted = ["", ...names];
  if (wanted.join("\n") !== [...services.options].map((option) => option.value).join("\n")) {
    services.replaceChildren(...wanted.map((name) => h("option", { value: name }, name || "all services")));
  }
  services.value = chosen;
}

/** Say in one line what went wrong, until something goes right. */
function fail(error) {
  if (error?.name === "AbortError") return;
  notice.textContent = error === null ? "" : error.message;
  notice.hidden = error === null;
}

function follow() {
  const at = route.current();
  const below = BELOW[at.view];
  const module = below?.view ?? VIEWS[at.view];
  if (!module) {
    route.go("now");
    return;
  }
  const name = below?.of ?? at.view;
  for (const [index, link] of links.entries()) {
    const own = Object.keys(VIEWS)[index];
    link.href = route.href(own, { service: service() });
    if (own === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if ([...services.options].some((option) => option.value === service())) services.value = service();
  const identity = `${at.view}/${at.id}`;
  if (shown?.identity === identity) {
    shown.view.routed(at);
    return;
  }
  shown?.abort.abort();
  shown?.view.close();
  fail(null);
  document.title = `${name} · whence`;
  const abort = new AbortController();
  root.replaceChildren();
  const page = {
    root,
    route: at,
    service,
    fail,
    ask: async (view, parameters) => {
      const answer = await ask(view, parameters, abort.signal);
      fail(null);
      return answer;
    },
  };
  shown = { identity, abort, view: module.open(page) };
  window.scrollTo(0, 0);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = (shown?.view.keys ?? {})[event.key] ?? KEYS[event.key];
  if (!key) return;
  event.preventDefault();
  key[1]();
}

window.addEventListener("hashchange", follow);
document.addEventListener("keydown", press);
// A link to `#view` would be taken for the address of a view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  root.focus();
});
follow();
listServices();
