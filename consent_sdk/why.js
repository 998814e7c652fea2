/**
 * Why a slot shows what it shows: the POP's signed receipt of the decision, verified here by WebCrypto.
 *
 *   import { explain } from "/sdk/why.js";
 *   const { decision, receipt, checks, trust } = await explain(document.querySelector("img[data-consent-slot]"));
 *
 * Apart from the SDK, so that only pages that offer it load it. What is verified: docs/page.md.
 */
import { request } from "./lib/http.js";
import { slotUrl } from "./lib/slots.js";
import { verify } from "./why/verify.js";

/**
 * Ask the slot again, as this visitor, and check what comes.
 *
 * `receipt` is the payload, null for a default, which was decided from nothing; `code` then says why. `checks` are
 * [name, holds] of `signature`, `endorsement`, `trust` and `same`; `holds` is null where this browser cannot tell.
 * `trust` is the SHA-256 of the trust file, `given` what a replay takes.
 */
export async function explain(image, { base = "", fetcher = (...args) => fetch(...args) } = {}) {
  const url = slotUrl(image, base);
  const { response, data } = await request("GET", `${url}${url.includes("?") ? "&" : "?"}why=1`, { fetcher });
  const { why = null, ...decision } = data;
  const code = response.headers.get("Consent-Edge-Code");
  if (!why) return { decision, code, receipt: null, checks: [], trust: null, given: null };
  const file = new Uint8Array(await (await fetcher(`${base}/v1/trust`, { cache: "no-store" })).arrayBuffer());
  return { decision, code, given: why, ...(await verify(why, decision, file)) };
}
