import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Consent, ConsentError } from "../consent-edge.js";
import { FakeBrowser } from "./browser.js";
import { FakePop } from "./pop.js";

let pop;
let browser;
beforeEach(async () => {
  pop = await FakePop.open();
  browser = new FakeBrowser();
});
afterEach(() => pop.close());

const page = (where = browser) => new Consent(where.tab(pop));
const refusal = () => browser.cookies.get("__Host-consent-no")?.value;
const gate = () => {
  let open;
  const until = new Promise((resolve) => (open = resolve));
  return { until, open };
};

test("changes are deltas with the number of their click", async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual");
  await consent.grant("behavioral");
  await consent.withdraw("contextual");
  const [first, second, third] = pop.changes();

  assert.deepEqual(first.body, { grant: ["contextual"], number: 1 });
  assert.deepEqual(second.body, { grant: ["behavioral"], number: 2 });
  assert.deepEqual(third.body, { categories: ["contextual"], number: 3 });
  assert.deepEqual(consent.choices, ["behavioral"]);
});

test("every request says that it comes from the module, and every change has a key of its own", async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual");
  await consent.withdraw();
  const keys = pop.changes().map(({ headers }) => headers["idempotency-key"]);

  assert.ok(pop.asked.every(({ headers }) => headers["consent-client"] === "sdk"));
  assert.ok(keys.every((key) => /^[\w-]{21}[AQgw]$/.test(key)) && keys[0] !== keys[1]);
});

for (const [answer, change] of [["yes", (consent) => consent.grant("contextual")], ["no", (consent) => consent.withdraw()]]) {
  test(`the first ${answer} of a visitor who had said nothing is told once`, async () => {
    const consent = page();
    const told = [];
    consent.addEventListener("first-consent", ({ detail }) => told.push(detail));
    await consent.sync();
    assert.equal(told.length, 0);
    await change(consent);
    await consent.grant("contextual", "behavioral");
    await consent.withdraw();

    assert.equal(told.length, 1);
    assert.equal(told[0].choices.includes("contextual"), answer === "yes");
  });
}

test("who has chosen before is told of no first answer", async () => {
  const before = page();
  await before.sync();
  await before.grant("contextual");
  const consent = page();
  let told = 0;
  consent.addEventListener("first-consent", () => (told += 1));
  await consent.sync();
  await consent.grant("behavioral");
  await consent.withdraw();

  assert.equal(told, 0);
});

test("a no to all names no category", async () => {
  const consent = page();
  await consent.sync();
  await consent.withdraw();

  assert.deepEqual(pop.changes()[0].body, { number: 1 });
});

test("the cookie says no in the tick of the click, before anything is sent", async () => {
  const consent = page();
  await consent.sync();
  const done = consent.withdraw("behavioral");
  const [entry] = refusal().split(".").slice(2);

  assert.equal(pop.changes().length, 0);
  assert.match(entry, /^1:b:[\w-]{22}:\d+$/);
  await done;
  assert.equal(pop.changes()[0].headers["idempotency-key"], entry.split(":")[2]);
});

test("a browser without prefixed cookies gets a plain one", async () => {
  browser = new FakeBrowser({ host: false });
  await page().withdraw();

  assert.match(browser.cookies.get("consent-no").value, /^1\./);
});

test("a yes right after a no, and a no right after a yes: the last click wins", async () => {
  const consent = page();
  await consent.sync();
  await Promise.all([consent.grant("contextual"), consent.grant("behavioral")]);
  await Promise.all([consent.withdraw("behavioral"), consent.grant("experimental")]);
  assert.deepEqual(consent.choices, ["contextual", "experimental"]);

  await Promise.all([consent.withdraw("contextual"), consent.grant("contextual")]);
  assert.deepEqual(consent.choices, ["contextual", "experimental"]);
  assert.equal(refusal().split("~").length, 1);
});

test("first visit: a no while the yes is under way takes it back", async () => {
  const consent = page();
  const { until, open } = gate();
  const sent = pop.next("POST", { until });
  await consent.sync();
  const yes = consent.grant("contextual");
  await sent;
  const no = consent.withdraw();
  assert.deepEqual(consent.categories, []);
  open();
  await Promise.all([yes, no]);

  assert.deepEqual(consent.choices, []);
  assert.deepEqual(pop.changes().map(({ method }) => method), ["POST", "DELETE"]);
});

test("a yes that a later no took back is not sent", async () => {
  const consent = page();
  await consent.sync();
  const yes = consent.grant("contextual", "behavioral");
  const no = consent.withdraw("contextual");
  await assert.rejects(yes, { code: "overtaken" });
  await no;

  assert.deepEqual(consent.choices, ["behavioral"]);
});

test("two tabs count as one browser, one change at a time", async () => {
  const [one, two] = [page(), page()];
  await one.sync();
  const { until, open } = gate();
  const sent = pop.next("POST", { until });
  const yes = one.grant("contextual");
  await sent;
  const no = two.withdraw("contextual");
  const alone = pop.changes().length;
  open();
  await Promise.all([yes, no]);

  assert.equal(alone, 1);
  assert.deepEqual(pop.changes().map(({ body }) => body.number), [1, 2]);
  assert.deepEqual(two.choices, []);
});

for (const [what, without] of Object.entries({ locks: { locks: false }, storage: { locks: false, storage: false } })) {
  test(`without ${what} the last click of a page still wins`, async () => {
    browser = new FakeBrowser(without);
    const consent = page();
    await consent.sync();
    await Promise.all([consent.grant("contextual"), consent.grant("behavioral")]);
    await Promise.all([consent.withdraw("contextual"), consent.grant("experimental")]);

    assert.deepEqual(consent.choices, ["behavioral", "experimental"]);
  });
}

test("without web locks a lease keeps two tabs apart", async () => {
  browser = new FakeBrowser({ locks: false });
  const [one, two] = [page(), page()];
  await one.sync();
  await Promise.all([one.grant("contextual"), two.grant("behavioral")]);
  await two.sync();

  assert.deepEqual(two.choices, ["contextual", "behavioral"]);
  assert.equal(pop.sessions, 1);
});

test("a change that is not answered is sent again under the same key", async () => {
  const consent = page();
  await consent.sync();
  pop.next("POST", { lost: true });
  pop.next("POST", { unanswered: true });
  pop.next("POST", { status: 503, code: "control-plane-unreachable" });
  await consent.grant("contextual");
  const sent = pop.changes();

  assert.equal(new Set(sent.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.equal(sent.length, 4);
  assert.deepEqual(consent.choices, ["contextual"]);
});

test("a refusal carries the stable code, leaves the state alone, and is not repeated", async () => {
  pop.next("POST", { status: 403, code: "cross-site" });
  const consent = page();
  await consent.sync();

  await assert.rejects(consent.grant("contextual"), (error) => error instanceof ConsentError && error.code === "cross-site");
  assert.deepEqual(consent.choices, []);
  assert.equal(pop.changes().length, 1);
});

test("a yes that the record did not take is no success", async () => {
  const consent = page();
  await consent.sync();
  await consent.grant("contextual");
  const [record] = pop.records.values();
  record.cats.behavioral.at = 200;
  record.ver = 200;

  await assert.rejects(consent.grant("behavioral"), { code: "overtaken" });
  await consent.grant("behavioral");
  assert.deepEqual(consent.choices, ["contextual", "behavioral"]);
});

test("an answer that a change overtook is not taken over", async () => {
  const consent = page();
  await consent.sync();
  const { until, open } = gate();
  const sent = pop.next("GET", { until, adding: { choices: [], categories: [], ver: 0 } });
  const old = consent.sync();
  await sent;
  await consent.grant("contextual");
  open();
  await old;

  assert.deepEqual(consent.choices, ["contextual"]);
});

test("an unknown category is refused before anything is sent", () => {
  const consent = page();

  assert.throws(() => consent.grant("everything"), { code: "unknown-category" });
  assert.throws(() => consent.withdraw("everything"), { code: "unknown-category" });
  assert.equal(pop.asked.length, 0);
});

test("a change is told once, and not at all when nothing changed", async () => {
  const consent = page();
  await consent.grant("contextual");
  const seen = [];
  consent.addEventListener("change", ({ detail }) => seen.push(detail.categories));
  await consent.sync();
  await consent.sync();

  assert.deepEqual(seen, []);
});

for (const [code, how] of [
  ["insecure-context", { keeps: false, secure: false }],
  ["cookies-blocked", { keeps: false }],
]) {
  test(`a yes that this browser cannot keep is ${code}, and nothing is in effect`, async () => {
    const consent = page(new FakeBrowser(how));
    await consent.sync();

    await assert.rejects(consent.grant("contextual"), { name: "ConsentError", code });
    assert.deepEqual([consent.choices, consent.categories], [[], []]);
  });
}

test("plain HTTP is no reason where the cookies are kept all the same", async () => {
  const consent = page(new FakeBrowser({ secure: false }));
  await consent.grant("contextual");

  assert.deepEqual(consent.choices, ["contextual"]);
});

test("a POP that cannot ask says nothing about cookies", async () => {
  const consent = page();
  await consent.sync();
  pop.next("GET", { doubt: true, adding: { ver: 0, choices: [], categories: [] } });
  await consent.grant("contextual");
});

test("nor does a browser that is offline right after its yes", async () => {
  const consent = page();
  await consent.sync();
  for (let times = 0; times < 9; times += 1) pop.next("GET", { lost: true });
  await consent.grant("contextual");

  assert.deepEqual(consent.choices, ["contextual"]);
});
