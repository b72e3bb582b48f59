// Numbers, times and places as people read them. Times are seconds unless a name says otherwise.

const STEPS = [
  [3600, 1 / 3600, "h"],
  [60, 1 / 60, "min"],
  [1, 1, "s"],
  [1e-3, 1e3, "ms"],
  [1e-6, 1e6, "µs"],
  [0, 1e9, "ns"],
];

/** "12.3 ms"; three digits. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 ms";
  const size = Math.abs(seconds);
  const [, factor, unit] = STEPS.find(([least]) => size >= least);
  return `${digits(seconds * factor)} ${unit}`;
}

function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace(/\.?0+$/, (end) => (size >= 100 ? end : ""));
}

/** "20 412", with thin spaces; "1.2 M" above a million. */
export function count(number) {
  if (number === null || number === undefined) return "–";
  if (Math.abs(number) >= 1e6) return `${digits(number / 1e6)} M`;
  if (!Number.isInteger(number) && Math.abs(number) < 100) return digits(number);
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

export function percent(part) {
  return part === null || part === undefined ? "–" : `${digits(part * 100)} %`;
}

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  return number >= 1e9 ? `${digits(number / 1e9)} GB` : number >= 1e6 ? `${digits(number / 1e6)} MB` : `${digits(number / 1e3)} kB`;
}

/** The time of day, with milliseconds where `fine`. */
export function clock(epoch, fine = false) {
  const at = new Date(epoch * 1000);
  const text = at.toLocaleTimeString([], { hour12: false });
  return fine ? `${text}.${String(at.getMilliseconds()).padStart(3, "0")}` : text;
}

/** "12 s ago". */
export function ago(epoch) {
  if (epoch === null || epoch === undefined) return "–";
  const since = Math.max(0, Date.now() / 1000 - epoch);
  if (since < 2) return "now";
  if (since < 60) return `${Math.round(since)} s ago`;
  if (since < 3600) return `${Math.round(since / 60)} min ago`;
  return since < 86400 ? `${Math.round(since / 3600)} h ago` : new Date(epoch * 1000).toLocaleDateString();
}

/** "pages.py:41 _typeset"; the whole path is for titles. */
export function place(site) {
  if (!site) return "";
  const file = site.file.split(/[\\/]/).pop();
  const name = site.function && site.function !== "<module>" ? ` ${site.function}` : "";
  return `${file}:${site.line}${name}`;
}

/** The whole path. */
export function wholePlace(site) {
  return site ? `${site.file}:${site.line}${site.function ? ` in ${site.function}` : ""}` : "";
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
