import { request } from "./http.js";
import { blank, copied, load, put } from "./picture.js";
import { slotUrl } from "./slots.js";

/**
 * The default of every slot, kept at hand while something else is shown: a "no" needs no network. What is kept is
 * a copy of the picture that the page began with, or one that was fetched without cookies while the page had nothing to do.
 */
const held = new WeakMap(); // element -> { of, picture, texts, decision }
const restored = new WeakSet(); // elements that show what was kept for them

/** The slot shows its default and is about to show something else: its picture is taken now, and encoded meanwhile. */
export async function keepDefault(image, base) {
  const isThere = image.dataset.consentCategory === "default" && image.complete && image.naturalWidth > 0;
  if (!isThere || hasDefault(image, base)) return;
  const texts = [image, ...copyTargets(image)].map((target) => [target, copyOf(target)]);
  const of = slotUrl(image, base);
  try {
    await keep(image, base, { of, picture: await copied(image), texts });
  } catch {
    // no copy: one is fetched at idle time
  }
}

/** Fetch a default for who may need it. The request has no cookie: everybody gets the same. */
export async function fetchDefault(image, fetcher, base) {
  if (hasDefault(image, base)) return;
  const of = slotUrl(image, base);
  const { data } = await request("GET", of, { fetcher, credentials: "omit", priority: "low" });
  if (data?.category !== "default") return;
  const { element: picture } = await load(image, data.rendition, base);
  await keep(image, base, { of, picture, texts: [], decision: data });
}

/** From now on it is at hand; a place that is empty for want of it is filled. */
async function keep(image, base, found) {
  held.set(image, found);
  if (image.dataset.consentCategory === "none") await showDefault(image, base);
}

/** Show the default at once, or nothing where none is at hand. */
export async function showDefault(image, base) {
  if (image.dataset.consentCategory === "default") return;
  const found = hasDefault(image, base) ? held.get(image) : null;
  delete image.dataset.consentUrl;
  delete image.dataset.consentAsset;
  image.dataset.consentCategory = found ? "default" : "none";
  if (!found) return blank(image);
  const done = put(image, { src: found.picture.currentSrc || found.picture.src });
  for (const [target, text] of found.texts) setCopy(target, text);
  if (found.decision) describe(image, found.decision);
  restored.add(image);
  await done;
}

/** What a decision says beside its picture. */
export function describe(image, { category, asset, copy }) {
  restored.delete(image);
  image.dataset.consentCategory = category;
  image.dataset.consentAsset = asset;
  for (const target of [image, ...copyTargets(image)]) setCopy(target, copy); // it is drawn into the picture as well
}

/** Whether the element shows its kept default: another picture of the same may take its place, by an address that lasts. */
export function isRestored(image) {
  return restored.has(image);
}

function hasDefault(image, base) {
  return held.get(image)?.of === slotUrl(image, base);
}

function copyOf(target) {
  return target.tagName === "IMG" ? target.alt : target.textContent;
}

function setCopy(target, text) {
  if (target.tagName === "IMG") target.alt = text;
  else target.textContent = text;
}

function copyTargets(image) {
  const slot = CSS.escape(image.dataset.consentSlot);
  return image.ownerDocument.querySelectorAll(`[data-consent-copy="${slot}"]`);
}
