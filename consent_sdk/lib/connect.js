import { Consent } from "./consent.js";

/** Read the visitor's consent and keep this page's slots in step with it. */
export async function connect(options = {}) {
  const consent = new Consent(options);
  await consent.start();
  return consent;
}
