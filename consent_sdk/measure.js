/**
 * Report how fast this page was, and which slots were seen and clicked, to the POP's `/v1/vitals`: with the consent
 * state and the model, and without any cookie, so that a report names no person.
 *
 *   import { measure } from "/sdk/measure.js";
 *   const stop = measure(consent);        // of `connect()` or of the panel
 *
 * A module of its own: only pages that want figures load it. One request when the page is hidden, sooner where more
 * than twenty things are to be said.
 */
import { Labels } from "./measure/labels.js";
import { watchShowings } from "./measure/showings.js";
import { watchSwaps } from "./measure/swaps.js";
import { watchVitals } from "./measure/vitals.js";

const MOST = 20; // reports in one request

export function measure(consent, { root = document, base = "" } = {}) {
  const view = root.defaultView;
  const reports = [];
  const send = () => {
    const vitals = reports.splice(0, MOST);
    if (!vitals.length) return;
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ vitals });
    // `sendBeacon` outlives a page as well, but it always carries the cookies.
    fetch(`${base}/v1/vitals`, { method: "POST", headers, body, credentials: "omit", keepalive: true }).catch(() => {});
  };
  const report = (one) => reports.push(one) === MOST && send();
  const labels = new Labels(consent, root);
  const vitals = watchVitals(view, labels);
  const stops = [watchShowings(root, labels, report), watchSwaps(root, labels, report)];
  const hide = () => {
    if (!root.hidden) return;
    vitals.take().forEach(report);
    while (reports.length) send();
  };
  root.addEventListener("visibilitychange", hide);
  return () => {
    root.removeEventListener("visibilitychange", hide);
    [vitals.stop, ...stops].forEach((stop) => stop());
  };
}
