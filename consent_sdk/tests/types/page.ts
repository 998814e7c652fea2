/** What a page in TypeScript writes; `tsc` must take it, and refuse what is marked. */
import { measure } from "../../measure.js";
import { connect, Consent, ConsentError, type Category, type ConsentState } from "../../consent-edge.js";
import "../../panel.js";

const consent: Consent = await connect({ base: "/edge" });
consent.addEventListener("change", ({ detail }) => show(detail));
consent.addEventListener("error", ({ detail }) => console.warn(detail.code, detail.status));
const state: ConsentState = await consent.grant("contextual", "behavioral");
await consent.withdraw();
const days = (state.retention?.["behavioral"] ?? 0) / 86_400;
const names: readonly Category[] = consent.decided ? consent.choices : [];
show(state, days, names);
document.addEventListener("consent-swap", (event) => show((event as CustomEvent<{ asset: string }>).detail.asset));
const panel = document.querySelector("consent-panel");
await panel?.ready;
await panel?.consent?.swapAll();
const stop: () => void = measure(consent, { base: "/edge" });
stop();
if (new ConsentError("timeout") instanceof Error) show((await consent.notice("ja")).text);

// @ts-expect-error: no such category
await consent.grant("marketing");
// @ts-expect-error: the state is not the page's to change
state.categories = [];
// @ts-expect-error: an option that does not exist
await connect({ url: "/edge" });

function show(...what: unknown[]): void {
  console.log(...what);
}
