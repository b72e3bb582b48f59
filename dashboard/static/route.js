// Where the page is: `#/trace/<id>?span=<id>`. Every state of a view that somebody may want to
// send to somebody else is in there.

/** {view, id, parameters}: of the address now. */
export function current() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = ""] = path.split("/").map(decodeURIComponent);
  return { view: view || "now", id, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a view. Empty parameters are left out. */
export function href(view, { id = "", ...parameters } = {}) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  const query = new URLSearchParams(kept.map(([name, value]) => [name, value === true ? "1" : String(value)])).toString();
  return `#/${view}${id && `/${encodeURIComponent(id)}`}${query && `?${query}`}`;
}

/** Go to a view; it is a step in the browser's history. */
export function go(view, parameters) {
  location.hash = href(view, parameters);
}

/** Other parameters in the same view. `step`: a step in the history, as another selection is;
 *  otherwise the address alone changes, as for each letter that somebody types. */
export function change(parameters, { step = false } = {}) {
  const at = current();
  const address = href(at.view, { id: at.id, ...at.parameters, ...parameters });
  if (address === location.hash) return;
  if (step) {
    location.hash = address;
  } else {
    history.replaceState(null, "", address);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  }
}
