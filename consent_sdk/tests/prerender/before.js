/** Says yes, has the next page prerendered, says no once that page shows the yes, and goes there. */
import { connect } from "/sdk/consent-edge.js";

const next = `/after${location.search}`;
const consent = await connect();
await consent.grant("contextual");
const rules = { prerender: [{ urls: [next], eagerness: "immediate" }] };
document.head.append(Object.assign(document.createElement("script"), { type: "speculationrules", text: JSON.stringify(rules) }));
while (!(await (await fetch("/reports")).json()).some(({ stage }) => stage === "loaded")) await new Promise((resolve) => setTimeout(resolve, 50));
await consent.withdraw();
for (let n = 0; n < 4; n += 1) await hold("/v1/consent");
location.href = next;

/** The next page's answers come late: what it shows at first it knows by itself. */
function hold(path) {
  return fetch("/faults", { method: "POST", body: JSON.stringify({ method: "GET", path, delay: 3_000 }) });
}
