/** Every element that shows a slot: `<img data-consent-slot="home-hero" data-consent-context="section=camping">`. */
export function findSlots(root = document) {
  return [...root.querySelectorAll("img[data-consent-slot]")];
}

/** `home-hero` and its page context, percent-encoded, as the POP reads it. */
export function slotRequest(image) {
  const { consentSlot, consentContext } = image.dataset;
  const url = new URL(`${encodeURIComponent(consentSlot)}${consentContext ? `?${consentContext}` : ""}`, "http://slots/");
  return `${url.pathname.slice(1)}${url.search}`;
}

/** The URL of the slot's decision. */
export function slotUrl(image, base = "") {
  return `${base}/v1/slots/${slotRequest(image)}`;
}

const MAX_COMPANIONS = 8;
const MAX_PIXELS = 4_096;
const COMPANION = /^[a-z0-9-]{1,64}(\?[\x21-\x7e]{0,1024})?$/;
const PICTURE_TYPES = "image/avif,image/webp"; // every browser that runs ES modules of this age shows both

/**
 * What should come along with the answer to a change: slots' decisions, and the largest picture on screen. What a POP
 * would not take stays behind and is asked for afterwards: nothing of the page may stop a change.
 */
export function companions(images) {
  const slots = new Map();
  for (const image of images) {
    const request = slotRequest(image);
    if (COMPANION.test(request)) slots.set(request, Math.max(slots.get(request) ?? 0, pixelsNeeded(image)));
  }
  if (!slots.size) return {};
  const [[first, pixels], ...others] = [...slots].sort(([, a], [, b]) => b - a).slice(0, MAX_COMPANIONS);
  return { slots: [{ request: first, pixels }, ...others.map(([request]) => ({ request }))], accept: PICTURE_TYPES };
}

/** How many device pixels wide the picture is shown; 0 while it is off screen, where it can wait. */
function pixelsNeeded(image) {
  const box = image.getBoundingClientRect();
  const view = image.ownerDocument.defaultView;
  const visible = box.width > 0 && box.bottom > 0 && box.top < view.innerHeight;
  return visible ? Math.min(Math.ceil(box.width * view.devicePixelRatio), MAX_PIXELS) : 0;
}
