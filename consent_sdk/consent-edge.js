/**
 * The Consent SDK: one ES module, no build step, no dependency.
 *
 *   import { connect } from "/sdk/consent-edge.js";
 *   const consent = await connect();
 *   consent.addEventListener("change", (event) => console.log(event.detail.categories));
 *   await consent.grant("contextual");
 *   await consent.withdraw("contextual");
 *
 * The verdict is the server's: nothing here decides what a visitor may be shown, but what they refused is not shown,
 * from the tick of the click on. The token and the session secret live in HttpOnly cookies, which no script can read.
 */
export { CATEGORIES } from "./lib/categories.js";
export { connect } from "./lib/connect.js";
export { Consent } from "./lib/consent.js";
export { ConsentError } from "./lib/errors.js";
export { swapSlot } from "./lib/swap.js";
