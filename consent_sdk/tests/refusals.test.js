import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Consent } from "../consent-edge.js";
import { added, readRefusals, removed, writeRefusals } from "../lib/consent-no.js";
import { FakeBrowser } from "./browser.js";
import { FakePop } from "./pop.js";

const TAG = "q1X9mC0y0Yc3o0s9m7yBfA";
const KEYS = ["3kq0Yd8mS1K2vJt0QmZr4w", "Zr4w3kq0Yd8mS1K2vJt0Qg", "AAAAAAAAAAAAAAAAAAAAAA"];
const entry = (number, letters, key) => ({ number, letters, key, time: 1_800_000_000 });

test("what is written is read back", () => {
  const refusals = { tag: TAG, entries: [entry(7, "b", KEYS[0]), entry(9, "ce", KEYS[1]), entry(0, "l", KEYS[2])] };

  assert.deepEqual(readRefusals(writeRefusals(refusals)), refusals);
});

const good = `${KEYS[0]}:1800000000`;
for (const [why, value] of Object.entries({
  "another version": `2.${TAG}.7:b:${good}`,
  "no entry": `1.${TAG}.`,
  "no list": `1.${TAG}`,
  "a short tag": `1.abc.7:b:${good}`,
  "a second spelling of the tag": `1.${TAG.slice(0, -1)}B.7:b:${good}`,
  "a leading zero": `1.${TAG}.07:b:${good}`,
  "a number too large": `1.${TAG}.1099511627776:b:${good}`,
  "an unknown letter": `1.${TAG}.7:x:${good}`,
  "letters in another order": `1.${TAG}.7:bc:${good}`,
  "no letters": `1.${TAG}.7::${good}`,
  "a category twice": `1.${TAG}.7:b:${good}~8:b:${KEYS[1]}:1800000000`,
  "a key twice": `1.${TAG}.7:b:${good}~8:c:${good}`,
  "a fourth part": `1.${TAG}.7:b:${good}.`,
  "a negative time": `1.${TAG}.7:b:${KEYS[0]}:-1`,
  "nine entries": `1.${TAG}.${Array(9).fill(`7:b:${good}`).join("~")}`,
  "nothing": "",
})) {
  test(`a value with ${why} is not read`, () => {
    assert.equal(readRefusals(value), null);
  });
}

test("a later no takes over what it names, and an entry without letters goes", () => {
  const entries = [entry(7, "cb", KEYS[0]), entry(8, "e", KEYS[1])];

  assert.deepEqual(added(entries, entry(9, "be", KEYS[2])), [entry(7, "c", KEYS[0]), entry(9, "be", KEYS[2])]);
});

test("only what is named is removed", () => {
  const entries = [entry(7, "cb", KEYS[0]), entry(8, "e", KEYS[1])];
  const gone = [{ key: KEYS[0], categories: ["behavioral", "experimental"] }, { key: KEYS[2], categories: ["contextual"] }];

  assert.deepEqual(removed(entries, gone), [entry(7, "c", KEYS[0]), entry(8, "e", KEYS[1])]);
});

let pop;
let browser;
beforeEach(async () => {
  pop = await FakePop.open();
  browser = new FakeBrowser();
});
afterEach(() => pop.close());
const page = () => new Consent(browser.tab(pop));
const held = () => readRefusals(browser.cookies.get("__Host-consent-no")?.value ?? "")?.entries ?? [];
const plant = (name, value) => browser.cookies.set(name, { value, httpOnly: false });

test("a recorded yes removes the refusals that were there when it was clicked, whatever their numbers", async () => {
  const consent = page();
  await consent.sync();
  await consent.withdraw("contextual", "behavioral");
  await consent.grant("contextual");

  assert.deepEqual(held().map(({ letters }) => letters), ["b"]);
});

test("a refusal without a number, which no answer lists, goes with the yes that saw it", async () => {
  await page().withdraw("contextual");
  const unnumbered = held();
  const consent = page();
  await consent.sync();
  await consent.grant("contextual");

  assert.deepEqual(unnumbered.map(({ number }) => number), [0]);
  assert.deepEqual(held(), []);
  assert.deepEqual(consent.categories, ["contextual"]);
});

test("a yes under way does not remove a later no", async () => {
  const consent = page();
  await consent.sync();
  let open;
  const sent = pop.next("POST", { until: new Promise((resolve) => (open = resolve)) });
  const yes = consent.grant("contextual");
  await sent;
  const no = consent.withdraw("contextual");
  open();
  await Promise.all([yes, no]);

  assert.deepEqual(held().map(({ letters }) => letters), ["c"]);
  assert.deepEqual(consent.categories, []);
});

test("exactly what an answer lists as superseded is removed", async () => {
  const consent = page();
  await consent.sync();
  await consent.withdraw("contextual");
  await consent.withdraw("behavioral");
  const [first] = held();
  pop.next("GET", { adding: { superseded: [{ key: first.key, categories: ["contextual", "behavioral"] }] } });
  await consent.sync();

  assert.deepEqual(held().map(({ letters }) => letters), ["b"]);
});

test("another browser's refusal narrows one request, then goes", async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual", "behavioral");
  await consent.withdraw("behavioral");
  plant("consent-no", `1.${TAG}.1:c:${KEYS[2]}:1800000000`);
  assert.deepEqual((await page().withdraw("experimental")).categories, []);
  await consent.sync();

  assert.equal(browser.cookies.has("consent-no"), false);
  assert.deepEqual(held().map(({ letters }) => letters).sort(), ["b", "e"]);
});

test("a broken refusal narrows everything once, then goes", async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual");
  plant("__Host-consent-no", "1.broken");
  plant("consent-no", "something of somebody else");
  assert.deepEqual((await consent.sync()).categories, ["contextual"]);

  assert.equal(browser.cookies.has("__Host-consent-no"), false);
});

test("numbers in the cookie count up to 256 above what is known", async () => {
  const consent = page();
  await consent.sync();
  await consent.withdraw("contextual");
  const [{ key }] = held();
  const { tag } = readRefusals(browser.cookies.get("__Host-consent-no").value);
  plant("__Host-consent-no", `1.${tag}.200:c:${key}:1800000000`);
  await consent.withdraw("behavioral");
  assert.equal(pop.changes().at(-1).body.number, 201);
  plant("__Host-consent-no", `1.${tag}.99999:c:${key}:1800000000`);
  await consent.withdraw("behavioral");

  assert.equal(pop.changes().at(-1).body.number, 202);
});
