/**
 * Addresses under which this tab loaded pictures that may have been somebody's. When a page is gone back to, a browser
 * takes a picture out of its memory without asking, also if it was made for other cookies; a request for the same
 * address puts something else there.
 */
const ITEM = "consent-edge-addresses";
const MOST = 24;
const PATIENCE_MS = 5_000;

/** Remember where the slots' own pictures came from. */
export function noteAddresses(page) {
  const own = page.slots.map(({ currentSrc }) => currentSrc).filter((address) => isImage(page, address));
  write(page.view, [...new Set([...own, ...read(page.view)])].slice(0, MOST));
}

/** Have the browser forget what it has there. Those that did not answer stay noted. */
export async function refreshAddresses(page) {
  const addresses = read(page.view);
  const fresh = await Promise.all(addresses.map((address) => refreshed(page, address)));
  const gone = new Set(addresses.filter((_, nth) => fresh[nth]));
  if (gone.size) write(page.view, read(page.view).filter((address) => !gone.has(address)));
}

async function refreshed(page, address) {
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), PATIENCE_MS);
  try {
    const answer = await page.fetcher(address, { cache: "reload", mode: "same-origin", signal: clock.signal });
    await answer.body?.cancel();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function isImage({ view, base }, address) {
  return address.startsWith(`${view.location.origin}${base}/v1/images/`);
}

function read(view) {
  try {
    const found = JSON.parse(view.sessionStorage.getItem(ITEM)) ?? [];
    return found.filter((address) => typeof address === "string" && address.startsWith(view.location.origin));
  } catch {
    return [];
  }
}

function write(view, addresses) {
  try {
    if (addresses.length) view.sessionStorage.setItem(ITEM, JSON.stringify(addresses));
    else view.sessionStorage.removeItem(ITEM);
  } catch {
    // no storage: the page that is gone back to corrects itself
  }
}
