import { request } from "./http.js";

const REFRESH_CODES = new Set(["policy-stale", "token-expired"]);

/** Every element that shows a slot: `<img data-consent-slot="home-hero" data-consent-context="section=camping">`. */
export function findSlots(root = document) {
  return [...root.querySelectorAll("img[data-consent-slot]")];
}

/** `home-hero` and its page context as the URL of the slot's decision. */
export function slotUrl(image) {
  const context = image.dataset.consentContext;
  return `/v1/slots/${encodeURIComponent(image.dataset.consentSlot)}${context ? `?${context}` : ""}`;
}

/**
 * Ask for the current decision and show it. The old picture stays until the new one is decoded, so nothing
 * flashes and nothing moves. A decision that was overtaken by a later swap of the same element is dropped.
 *
 * @returns {Promise<{decision: object, refresh: boolean}>} `refresh`: the POP asks for a fresh token
 */
export async function swapSlot(image, fetcher = fetch) {
  const turn = nextTurn(image);
  const { response, data } = await request("GET", slotUrl(image), undefined, fetcher);
  const refresh = response.headers.get("Consent-Refresh") === "1"
    || REFRESH_CODES.has(response.headers.get("Consent-Edge-Code"));
  if (isCurrent(image, turn)) await showDecision(image, data, turn);
  return { decision: data, refresh };
}

/** Show a decision that came with another answer. */
export function applyDecision(image, decision) {
  return showDecision(image, decision, nextTurn(image));
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

async function showDecision(image, decision, turn) {
  if (!isShown(image, decision)) {
    const picture = await load(image, decision.rendition);
    if (!isCurrent(image, turn)) return;
    if (picture.srcset) image.srcset = picture.srcset;
    else image.removeAttribute("srcset");
    image.src = picture.src;
    image.dataset.consentUrl = decision.rendition.url;
  }
  image.dataset.consentCategory = decision.category;
  image.dataset.consentAsset = decision.asset;
  image.alt = decision.copy; // the copy is drawn into the picture: this is the same text for who cannot see it
  for (const target of copyTargets(image)) target.textContent = decision.copy;
  image.dispatchEvent(new CustomEvent("consent-swap", { bubbles: true, detail: decision }));
}

/** The default of a slot is one picture for everybody: showing it again by another address would only cost bytes. */
function isShown(image, decision) {
  const stillDefault = decision.category === "default" && image.dataset.consentCategory === "default";
  return stillDefault || image.dataset.consentUrl === decision.rendition.url;
}

/** Say that what the page loaded with is the default. */
export function markDefault(image) {
  image.dataset.consentCategory ??= "default";
}

/** How many device pixels wide the picture is shown; 0 while it is off screen, where it can wait. */
export function pixelsNeeded(image) {
  const box = image.getBoundingClientRect();
  const view = image.ownerDocument.defaultView;
  const visible = box.width > 0 && box.bottom > 0 && box.top < view.innerHeight;
  return visible ? Math.ceil(box.width * view.devicePixelRatio) : 0;
}

/**
 * Decode off screen. A picture that came along with the answer saves a round trip; where the page's own content
 * policy forbids `blob:`, or none came along, it is fetched by its address, at the size the page would choose.
 */
async function load(image, { url, srcset, inline }) {
  if (inline) {
    const src = objectUrl(inline);
    try {
      await decode({ src });
      return { src };
    } catch {
      URL.revokeObjectURL(src);
    }
  }
  const picture = { src: url, srcset, sizes: image.sizes };
  await decode(picture);
  return picture;
}

function objectUrl({ type, base64 }) {
  const bytes = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type }));
}

function decode({ src, srcset, sizes }) {
  const next = new Image();
  if (sizes) next.sizes = sizes;
  if (srcset) next.srcset = srcset;
  next.src = src;
  return next.decode();
}

function copyTargets(image) {
  const slot = CSS.escape(image.dataset.consentSlot);
  return image.ownerDocument.querySelectorAll(`[data-consent-copy="${slot}"]`);
}
