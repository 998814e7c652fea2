/**
 * What this browser remembers between its pages: one item of localStorage, read and written in one tick.
 *
 *   { tag, high, life, unsent: [{ key, number, categories }] }
 *
 * `tag`: this browser's own, of `consent-no`. `high`: the highest version or number known; null while nothing is.
 * `life`: seconds that `consent-no` may live. `unsent`: every "no" that no server has answered yet, oldest first;
 * `number` 0 where nothing was known, `categories` null for all. Where storage is refused, the page remembers.
 */
const ITEM = "consent-edge";
const ID = /^[\w-]{21}[AQgw]$/;
const EMPTY = Object.freeze({ tag: null, high: null, life: 15_552_000, unsent: [] });

let inThisPage = null; // from the first refusal of the storage on

/** What is remembered now. Anything that does not have the form counts as nothing. */
export function recall(view) {
  if (inThisPage) return inThisPage;
  try {
    return checked(JSON.parse(view.localStorage.getItem(ITEM)));
  } catch {
    return EMPTY;
  }
}

/** Change what is remembered, in this tick. Never throws: a full storage must not stop a "no". */
export function remember(view, change) {
  const next = { ...recall(view), ...change };
  try {
    if (!inThisPage) view.localStorage.setItem(ITEM, JSON.stringify(next));
  } catch {
    inThisPage = next;
  }
  if (inThisPage) inThisPage = next;
  return next;
}

function checked(found) {
  const high = Number.isSafeInteger(found?.high) && found.high >= 0 ? found.high : null;
  const unsent = Array.isArray(found?.unsent) ? found.unsent.filter(isNo) : [];
  const tag = ID.test(found?.tag) ? found.tag : null;
  return { tag, high, life: found?.life > 0 ? found.life : EMPTY.life, unsent };
}

function isNo({ key, number, categories }) {
  const named = categories === null || (Array.isArray(categories) && categories.length > 0);
  return ID.test(key) && Number.isSafeInteger(number) && number >= 0 && named;
}
