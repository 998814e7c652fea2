import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Consent, connect } from "../consent-edge.js";
import { FakeBrowser } from "./browser.js";
import { FakePop } from "./pop.js";

let pop;
let browser;
beforeEach(async () => {
  pop = await FakePop.open();
  browser = new FakeBrowser();
});
afterEach(() => pop.close());

const page = () => new Consent(browser.tab(pop));
const forgetting = () => {
  const { cookies } = browser;
  browser = Object.assign(new FakeBrowser(), { cookies }); // its storage was cleared, its cookies were not
};
const offline = (tab) => ({ ...tab, fetcher: async () => Promise.reject(new TypeError("no network")) });
const consented = async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual", "behavioral");
  await consent.sync();
  return consent;
};

test("offline a no holds at once, is shown as pending, and says what will become of it", async () => {
  await consented();
  const consent = new Consent(offline(browser.tab(pop)));
  const seen = [];
  consent.addEventListener("change", ({ detail }) => seen.push(detail));
  const no = consent.withdraw("contextual");

  assert.equal(seen.at(-1).pending, true);
  await assert.rejects(no, ({ code, message }) => code === "unreachable" && message.includes("sent again by itself"));
  assert.equal(consent.state.pending, true);
});

test("what was refused offline is sent by the next page, under its own key and number", async () => {
  await consented();
  await assert.rejects(new Consent(offline(browser.tab(pop))).withdraw("contextual"));
  const consent = await connect(browser.tab(pop));
  await consent.grant("experimental");
  consent.close();
  const [, no, yes] = pop.changes();

  assert.deepEqual([no.method, no.body], ["DELETE", { categories: ["contextual"], number: 2 }]);
  assert.equal(yes.body.number, 3);
  assert.equal(consent.state.pending, false);
  assert.deepEqual(consent.choices, ["behavioral", "experimental"]);
});

test("a no is sent when the network is back, without another click", async () => {
  await consented();
  await assert.rejects(new Consent(offline(browser.tab(pop))).withdraw());
  const tab = browser.tab(pop);
  const consent = await connect({ ...tab, wait: undefined });
  const done = new Promise((resolve) => consent.addEventListener("change", ({ detail }) => detail.pending || resolve()));
  tab.root.defaultView.dispatchEvent(new Event("online"));
  await done;
  consent.close();

  assert.equal(pop.changes().at(-1).method, "DELETE");
});

test("a browser that knows nothing says no without a number, and yes only after it asked", async () => {
  await consented();
  forgetting();
  const consent = page();
  await consent.withdraw("contextual");
  forgetting();
  await page().grant("contextual");
  const [, no, yes] = pop.changes();

  assert.deepEqual(no.body, { categories: ["contextual"] });
  assert.equal(yes.body.number, 3);
  assert.deepEqual(pop.asked.at(-2).method, "GET");
});

test("a POP that could not ask knows of no record: no number is made of that", async () => {
  await consented();
  forgetting();
  const consent = page();
  pop.next("GET", { doubt: true, adding: { ver: 0 } });
  await consent.sync();
  await consent.withdraw("contextual");

  assert.deepEqual(pop.changes().at(-1).body, { categories: ["contextual"] });
});

test("202 fulfils: in force, and pending until it arrived", async () => {
  const consent = await consented();
  pop.next("DELETE", { as: 202, adding: { pending: true } });
  const state = await consent.withdraw("contextual");

  assert.equal(state.pending, true);
  await consent.sync();
  assert.equal(consent.state.pending, false);
});

test("a no that a server refuses for good rejects with its code, and stands in no later change's way", async () => {
  const consent = await consented();
  pop.next("DELETE", { status: 403, code: "cross-site" });
  await assert.rejects(consent.withdraw("contextual"), { code: "cross-site" });
  await consent.grant("experimental");

  assert.deepEqual(consent.categories, ["behavioral", "experimental"]);
});

test("no answer is an error with a code, not a rejected fetch", async () => {
  await assert.rejects(new Consent(offline(browser.tab(pop))).sync(), { code: "unreachable", status: 0 });
});

test("a page whose POP does not answer works, and says that nothing is known", async () => {
  const consent = await connect(offline(browser.tab(pop)));
  const [failure] = await Promise.all([new Promise((heard) => consent.addEventListener("error", heard, { once: true }))]);
  consent.close();

  assert.equal(failure.detail.code, "unreachable");
  assert.equal(consent.state.known, false);
});

test("an error page that is not JSON still gives a code", async () => {
  const fetcher = async () => new Response("<h1>Bad gateway</h1>", { status: 502 });

  await assert.rejects(new Consent({ ...browser.tab(pop), fetcher }).sync(), { code: "http-error", status: 502 });
});

test("no cookies, no storage: a no still holds in its page and is sent", async () => {
  browser = new FakeBrowser({ cookies: false, storage: false, locks: false });
  const consent = await consented();
  const done = consent.withdraw("contextual");

  assert.deepEqual(consent.categories, ["behavioral"]);
  await done;
  assert.deepEqual(consent.choices, ["behavioral"]);
});
