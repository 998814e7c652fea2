/**
 * The value of the cookie `consent-no` (docs/formats/consent-no.md): what was refused in this browser. Pure.
 *
 *   1.<tag>.<entry>[~<entry>]*      entry = <number>:<letters>:<key>:<unix time>
 */
export const LETTERS = Object.freeze({ contextual: "c", behavioral: "b", experimental: "e", learning: "l" });

const MAX_BYTES = 1_024;
const MAX_ENTRIES = 8;
const TAG = /^[\w-]{21}[AQgw]$/; // 16 bytes have one spelling
const ENTRY = /^(0|[1-9]\d{0,12}):(c?b?e?l?):([\w-]{21}[AQgw]):(0|[1-9]\d{0,10})$/;

/** { tag, entries: [{ number, letters, key, time }] }, or null for anything else. */
export function readRefusals(value) {
  const [version, tag, list, ...rest] = value.split(".");
  if (version !== "1" || rest.length || !TAG.test(tag) || value.length > MAX_BYTES) return null;
  const entries = (list ?? "").split("~").map(readEntry);
  if (entries.length > MAX_ENTRIES || !entries.every(Boolean)) return null;
  const named = entries.flatMap(({ letters, key }) => [...letters, key]);
  return new Set(named).size === named.length ? { tag, entries } : null;
}

function readEntry(text) {
  const [, number, letters, key, time] = ENTRY.exec(text) ?? [];
  if (!letters || Number(number) >= 2 ** 40) return null;
  return { number: Number(number), letters, key, time: Number(time) };
}

/** The inverse of `readRefusals`; "" when nothing is refused. */
export function writeRefusals({ tag, entries }) {
  const texts = entries.map(({ number, letters, key, time }) => `${number}:${letters}:${key}:${time}`);
  return texts.length ? `1.${tag}.${texts.join("~")}` : "";
}

/** With a new entry: each category is named by its newest "no" alone. */
export function added(entries, entry) {
  return [...cut(entries, () => entry.letters), entry];
}

/** Without what these say: [{ key, categories }]. */
export function removed(entries, gone) {
  const lettersOf = ({ key }) => gone.filter((g) => g.key === key).map((g) => lettersFor(g.categories)).join("");
  return cut(entries, lettersOf);
}

function cut(entries, lettersOf) {
  return entries
    .map((entry) => ({ ...entry, letters: [...entry.letters].filter((c) => !lettersOf(entry).includes(c)).join("") }))
    .filter((entry) => entry.letters);
}

export function lettersFor(categories) {
  return Object.keys(LETTERS).filter((category) => categories.includes(category)).map((c) => LETTERS[c]).join("");
}

export function categoriesOf(letters) {
  return Object.keys(LETTERS).filter((category) => letters.includes(LETTERS[category]));
}
