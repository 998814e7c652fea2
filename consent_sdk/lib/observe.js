import { settle } from "./first-paint.js";
import { swapSlot } from "./swap.js";

const MARKS = ["data-consent-slot", "data-consent-context"];

/**
 * Follow a page that changes itself: an element that is added is looked at as those of the first paint are, and
 * another slot or context is another decision.
 *
 * @returns {() => void} stop
 */
export function observe(page) {
  const Observer = page.view.MutationObserver;
  if (!Observer) return () => {};
  const observer = new Observer((records) => {
    const changed = new Map(records.filter(({ type }) => type === "attributes").map((r) => [r.target, r.attributeName]));
    for (const image of page.slots) if (changed.has(image)) askAnew(page, image, changed.get(image));
    if (records.some(({ addedNodes }) => addedNodes.length)) settle(page).catch((error) => page.fail(error));
  });
  observer.observe(page.root, { childList: true, subtree: true, attributes: true, attributeFilter: MARKS });
  return () => observer.disconnect();
}

/** A slot's default is the same in every context. */
async function askAnew(page, image, mark) {
  delete image.dataset.consentUrl;
  if (mark === "data-consent-slot") image.dataset.consentCategory = "none";
  await swapSlot(image, page.fetcher, page.base).catch((error) => page.fail(error));
}
