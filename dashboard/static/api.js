// What the page asks the server; dashboard/api.py says what comes back.

/** An answer that was no answer: its message is for people. */
export class Refused extends Error {}

/** The JSON of a view. Parameters that are empty are left out.
 *  Throws Refused with one line, or AbortError. */
export async function ask(view, parameters = {}, signal = undefined) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(kept).toString();
  let answer;
  try {
    answer = await fetch(`/api/${view}${query && `?${query}`}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The dashboard does not answer: is `whence dashboard` still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.error ?? `The dashboard answered ${answer.status}.`);
  return body;
}
