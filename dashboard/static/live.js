// Live updates: the server says that something has come, and the view in front asks again.

const LEAST_BETWEEN = 1000; // ms
const RATE_OVER = 3000; // ms

/** Listens to the server. `refresh()` is called when there is news, never twice at once and at most
 *  once a second; `tell(state, rate)` with "live", "paused" or "lost", and spans a second. */
export class Live {
  constructor({ refresh, tell }) {
    this.refresh = refresh;
    this.tell = tell;
    this.paused = false;
    this.busy = false;
    this.news = false;
    this.connected = false;
    this.heard = [];
    this.source = new EventSource("/api/events");
    this.source.addEventListener("open", () => this.#connect(true));
    this.source.addEventListener("error", () => this.#connect(false));
    this.source.addEventListener("changed", (event) => this.#hear(JSON.parse(event.data)));
    document.addEventListener("visibilitychange", () => this.#turn());
    setInterval(() => this.#say(), RATE_OVER);
  }

  toggle() {
    this.paused = !this.paused;
    this.#say();
    this.#turn();
  }

  #connect(connected) {
    // What came while nobody listened is not told again.
    this.news ||= connected && !this.connected;
    this.connected = connected;
    this.#say();
    this.#turn();
  }

  #hear(added) {
    this.heard.push([performance.now(), added.spans]);
    this.news = true;
    this.#say();
    this.#turn();
  }

  #say() {
    const since = performance.now() - RATE_OVER;
    this.heard = this.heard.filter(([at]) => at > since);
    const rate = this.heard.reduce((sum, [, spans]) => sum + spans, 0) / (RATE_OVER / 1000);
    this.tell(!this.connected ? "lost" : this.paused ? "paused" : "live", rate);
  }

  async #turn() {
    if (this.busy || this.paused || !this.news || document.hidden) return;
    this.news = false;
    this.busy = true;
    const rest = new Promise((resolve) => setTimeout(resolve, LEAST_BETWEEN));
    try {
      await this.refresh();
    } finally {
      await rest;
      this.busy = false;
      this.#turn();
    }
  }
}
