import { CATEGORIES } from "./categories.js";
import { added, categoriesOf, lettersFor, readRefusals, removed, writeRefusals } from "./consent-no.js";
import { found, put } from "./jar.js";
import { recall, remember } from "./memory.js";
import { randomText } from "./random.js";

/**
 * What this browser refused: its cookie `consent-no`, and every "no" that was not answered yet (where cookies are
 * forbidden, those alone). All of it is read anew each time, since other tabs write it too.
 */

/** The refused categories, a Set. A broken value, or one of another browser, narrows as well, until it is disowned. */
export function refused(view) {
  const values = found(view.document).map(({ value }) => value);
  const named = values.flatMap((value) => {
    const refusals = readRefusals(value);
    if (refusals) return refusals.entries.flatMap((entry) => categoriesOf(entry.letters));
    return value.startsWith("1.") ? CATEGORIES : [];
  });
  return new Set([...named, ...recall(view).unsent.flatMap((no) => no.categories ?? CATEGORIES)]);
}

/** This browser's own entries. Where nothing is remembered, the tag that the cookie has becomes its own. */
export function ownEntries(view) {
  const entries = own(view).flatMap(({ refusals }) => refusals.entries);
  return entries.sort((a, b) => a.number - b.number).reduce(added, []);
}

/** Write a "no" down, in this tick. */
export function refuse(view, { key, number, categories }) {
  const entry = { number, letters: lettersFor(categories), key, time: Math.floor(Date.now() / 1000) };
  write(view, added(ownEntries(view), entry));
}

/** Take these out: [{ key, categories }]. */
export function release(view, gone) {
  if (!gone.length) return;
  const entries = ownEntries(view);
  const left = removed(entries, gone);
  if (writeRefusals({ tag: "", entries }) !== writeRefusals({ tag: "", entries: left })) write(view, left);
}

/** What a yes to these categories overrules once it is recorded: [{ key, categories }]. */
export function overruled(view, categories) {
  const held = ownEntries(view).map(({ key, letters }) => {
    return { key, categories: categoriesOf(letters).filter((category) => categories.includes(category)) };
  });
  return held.filter((entry) => entry.categories.length);
}

/** Values that are not this browser's own: each narrows one request, then `disown` takes it out. */
export function foreign(view) {
  const mine = new Set(own(view).map(({ value }) => value));
  return found(view.document).filter(({ value }) => !mine.has(value));
}

/** Take those out of `others` that are still there. */
export function disown(view, others) {
  const there = foreign(view).filter(({ value }) => others.some((other) => other.value === value));
  if (there.length) write(view, ownEntries(view), there);
}

function own(view) {
  const { tag } = recall(view);
  const all = found(view.document).map(({ name, value }) => ({ name, value, refusals: readRefusals(value) }));
  const adopted = tag ?? all.find(({ refusals }) => refusals)?.refusals.tag;
  return all.filter(({ name, refusals }) => refusals && (refusals.tag === adopted || isForm(name, refusals)));
}

/** A form's "no": the server made its tag, and under this name no other host can have planted it. */
function isForm(name, { entries }) {
  return name.startsWith("__Host-") && entries.every(({ number }) => number === 0);
}

function write(view, entries, out = []) {
  const mine = own(view);
  const tag = recall(view).tag ?? mine[0]?.refusals.tag ?? randomText();
  const { life } = remember(view, { tag });
  put(view.document, writeRefusals({ tag, entries }), life, [...mine, ...out].map(({ name }) => name));
}
