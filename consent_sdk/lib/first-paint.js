import { noteAddresses } from "./addresses.js";
import { fetchDefault } from "./defaults.js";
import { recall } from "./memory.js";
import { refused } from "./refusals.js";
import { swapSlot } from "./swap.js";

const PERSONAL = new Set([null, "policy-stale", "revoked"]); // what `Consent-Edge-Code` says of a picture of somebody's

/**
 * Find out what the page's own `src` brought. A visitor without any record got defaults. For others the browser's
 * cache knows, if it was asked for with the cookies of now; else, where there was a "no", the decision is asked for.
 * A picture that is still on its way is looked at when it is there.
 */
export async function settle(page) {
  if (page.state.categories.length) noteAddresses(page);
  const unknown = page.slots.filter((image) => image.dataset.consentCategory === undefined);
  await Promise.all(unknown.map((image) => settleOne(page, image)));
}

async function settleOne(page, image) {
  if (image.dataset.consentCategory !== undefined) return;
  const { known, ver, categories } = page.state;
  if (known && !ver && !recall(page.view).tag) return void (image.dataset.consentCategory = "default");
  if (!image.complete) return image.addEventListener("load", () => settle(page), { once: true });
  const brought = await cached(page, image);
  if (brought === "default") image.dataset.consentCategory ??= "default";
  const doubt = (brought === "unknown" || hasWorker(page)) && refused(page.view).size > 0;
  if (known && brought !== "default" && (doubt || !categories.length)) {
    await swapSlot(image, page.fetcher, page.base).catch((error) => page.fail(error));
  }
}

/** A service worker may have put back what was under way when it was told to forget. */
function hasWorker({ view }) {
  return Boolean(view.navigator?.serviceWorker?.controller);
}

/** `default`, `personal`, or `unknown`, by the answer in the cache; it is of these very cookies (`Vary`). */
async function cached(page, { currentSrc }) {
  if (!currentSrc) return "unknown";
  const answer = await page.fetcher(currentSrc, { cache: "only-if-cached", mode: "same-origin" }).catch(() => null);
  if (!answer?.ok) return "unknown";
  return PERSONAL.has(answer.headers.get("Consent-Edge-Code")) ? "personal" : "default";
}

/** Fetch, one after the other while nothing else goes on, the defaults that a "no" would need. */
export function prepareDefaults(page) {
  const { view } = page;
  if (view.navigator?.connection?.saveData || !view.requestIdleCallback) return;
  view.requestIdleCallback(async () => {
    for (const image of page.slots) {
      if (image.dataset.consentCategory === "default" || !page.state.categories.length) continue;
      await fetchDefault(image, page.fetcher, page.base).catch(() => {});
    }
  });
}
