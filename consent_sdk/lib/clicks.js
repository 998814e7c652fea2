import { CATEGORIES } from "./categories.js";
import { recall, remember } from "./memory.js";
import { randomText } from "./random.js";
import { overruled, ownEntries, refuse } from "./refusals.js";

/**
 * Clicks, numbered: the last one wins, in every order of arrival (docs/page.md, "Order"). A number is one above
 * all that this browser knows, in all its tabs. While nothing is known a click has none: a "no" counts as said when
 * it arrives, a yes asks first.
 */
const BELIEVED = 256; // how far above the known a number in `consent-no` may be
const LIMIT = 2 ** 40;

/** Learn a version that a server told. */
export function learn(view, version) {
  if (!Number.isSafeInteger(version)) return;
  const { high } = recall(view);
  if (high === null || version > high) remember(view, { high: version });
}

/** A "no", written down before this returns: { key, number, categories }. `categories`: null for all. */
export function clickNo(view, categories) {
  const no = { key: randomText(), number: nextNumber(view) ?? 0, categories };
  refuse(view, { ...no, categories: categories ?? CATEGORIES });
  remember(view, { unsent: [...recall(view).unsent, no] });
  return no;
}

/** A yes: { key, number, categories, sees }. `sees`: the refusals that it overrules once it is recorded. */
export function clickYes(view, categories) {
  const sees = overruled(view, categories);
  return { key: randomText(), number: nextNumber(view), categories, sees, before: unsentKeys(view) };
}

/** The number of a yes that could not have one when it was clicked: now that a version is known. */
export function numbered(view, yes) {
  return yes.number === null ? { ...yes, number: nextNumber(view) } : yes;
}

/** What of a yes no later "no" of any tab took back before it was sent. */
export function stillMeant(view, yes) {
  const seen = new Set([...yes.sees.map(({ key }) => key), ...yes.before]);
  const later = [...overruled(view, yes.categories), ...recall(view).unsent].filter(({ key }) => !seen.has(key));
  const taken = later.flatMap((no) => no.categories ?? CATEGORIES);
  return yes.categories.filter((category) => !taken.includes(category));
}

/** A server answered this "no". */
export function answered(view, key) {
  remember(view, { unsent: recall(view).unsent.filter((no) => no.key !== key) });
}

function nextNumber(view) {
  const { high, unsent } = recall(view);
  if (high === null || unsent.some(({ number }) => number === 0)) return null;
  const believed = ownEntries(view).map(({ number }) => number).filter((number) => number <= high + BELIEVED);
  const next = Math.max(high, ...believed) + 1;
  if (next >= LIMIT) return null;
  remember(view, { high: next });
  return next;
}

function unsentKeys(view) {
  return recall(view).unsent.map(({ key }) => key);
}
