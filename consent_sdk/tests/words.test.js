import assert from "node:assert/strict";
import { test } from "node:test";
import english from "../lang/en.js";
import { CATEGORIES } from "../lib/categories.js";
import { days, fill, LANGUAGES, wordsFor } from "../panel/words.js";

const placeholders = (text) => [text].flat().join(" ").match(/\{\w+\}/g) ?? [];

for (const language of LANGUAGES) {
  test(`${language} says everything that English says`, async () => {
    const { default: words } = await import(`../lang/${language}.js`);

    assert.deepEqual(Object.keys(words), Object.keys(english));
    assert.ok(CATEGORIES.every((name) => words[name].length === 2));
    for (const [name, text] of Object.entries(words)) assert.deepEqual(placeholders(text), placeholders(english[name]), name);
  });
}

for (const [tags, expected] of [
  [["de-AT", "en"], "de"],
  [["xx", "ja-JP"], "ja"],
  [["AR-eg"], "ar"],
  [["xx"], "en"],
  [[], "en"],
]) {
  test(`${tags} is answered in ${expected}`, async () => {
    assert.equal((await wordsFor(tags)).language, expected);
  });
}

test("durations are in the panel's language", () => {
  assert.equal(fill(english.kept, { time: days(604_800, "en") }), "Kept 7 days.");
  assert.equal(days(86_400, "de"), "1 Tag");
});
