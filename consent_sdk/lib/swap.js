import { describe, isRestored, keepDefault, showDefault } from "./defaults.js";
import { request } from "./http.js";
import { load, put } from "./picture.js";
import { refused } from "./refusals.js";
import { slotUrl } from "./slots.js";

const REFRESH_CODES = new Set(["policy-stale", "token-expired"]);

/**
 * Ask for the slot's current decision and show it. The old picture stays until the new one is decoded. A decision
 * that was overtaken by a later one of the same element, or refused meanwhile, is not shown.
 *
 * @returns {Promise<{decision: object, refresh: boolean}>} `refresh`: the POP asks for a fresh token
 */
export async function swapSlot(image, fetcher = fetch, base = "") {
  const turn = nextTurn(image);
  const { response, data } = await request("GET", slotUrl(image, base), { fetcher });
  const refresh = response.headers.get("Consent-Refresh") === "1"
    || REFRESH_CODES.has(response.headers.get("Consent-Edge-Code"));
  if (isCurrent(image, turn)) await show(image, data, turn, base);
  return { decision: data, refresh };
}

/** Show a decision that came with another answer. */
export function applyDecision(image, decision, base = "") {
  return show(image, decision, nextTurn(image), base);
}

/** Show the default now; a picture asked for before this is not shown any more. */
export function backToDefault(image, base = "") {
  nextTurn(image);
  return showDefault(image, base);
}

const turns = new WeakMap();

function nextTurn(image) {
  const turn = (turns.get(image) ?? 0) + 1;
  turns.set(image, turn);
  return turn;
}

function isCurrent(image, turn) {
  return turns.get(image) === turn;
}

async function show(image, decision, turn, base) {
  const mayShow = () => !refused(image.ownerDocument.defaultView).has(decision.category);
  if (!mayShow()) return showDefault(image, base);
  if (!isShown(image, decision)) {
    const picture = await load(image, decision.rendition, base);
    if (!isCurrent(image, turn)) return;
    if (!mayShow()) return showDefault(image, base);
    if (decision.category !== "default") keepDefault(image, base);
    image.dataset.consentUrl = decision.rendition.url;
    describe(image, decision);
    await put(image, picture);
  } else describe(image, decision);
  image.dispatchEvent(new CustomEvent("consent-swap", { bubbles: true, detail: decision }));
}

/**
 * The default of a slot is one picture for everybody: showing it again by another address would only cost bytes. One
 * that came along has cost them already, and takes the place of what was kept.
 */
function isShown(image, { category, rendition }) {
  const stillDefault = category === "default" && image.dataset.consentCategory === "default";
  return stillDefault ? !(isRestored(image) && rendition.inline) : image.dataset.consentUrl === rendition.url;
}
