import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../consent-edge.js";
import { request } from "../lib/http.js";
import { after } from "../lib/timer.js";
import { FakeBrowser } from "./browser.js";
import { FakePop } from "./pop.js";

/** A clock that a test moves. Like the browser's, it takes no time above 2^31 - 1 ms. */
class FakeClock {
  #now = 5_000;
  #timers = new Map();
  #last = 0;
  now = () => this.#now;
  set = (run, ms) => {
    assert.ok(ms <= 2 ** 31 - 1 && ms >= 0, `a timer of ${ms} ms`);
    this.#timers.set(++this.#last, { at: this.#now + ms, run });
    return this.#last;
  };
  clear = (timer) => this.#timers.delete(timer);
  left = () => [...this.#timers.values()].map(({ at }) => at - this.#now);
  go(ms) {
    const end = this.#now + ms;
    for (let next = this.#first(end); next; next = this.#first(end)) {
      [this.#now] = [next[1].at, this.#timers.delete(next[0])];
      next[1].run();
    }
    this.#now = end;
  }
  #first = (end) => [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
}

let pop;
let clock;
let consent;
beforeEach(async () => {
  pop = await FakePop.open();
  clock = new FakeClock();
});
afterEach(() => {
  consent?.close();
  return pop.close();
});
const answering = async (state) => {
  pop.next("GET", { adding: state });
  consent = await connect({ ...new FakeBrowser().tab(pop), clock });
};

test("a fresh token is fetched thirty seconds before the old one runs out, by a duration", async () => {
  await answering({ expires_in: 300 });
  assert.deepEqual(clock.left(), [270_000]);

  const refreshed = pop.next("POST", {});
  clock.go(269_999);
  assert.equal(pop.asked.length, 1);
  clock.go(1);
  await refreshed;
  assert.equal(pop.asked.at(-1).path, "/v1/consent/refresh");
});

for (const [how, ms] of Object.entries({ "ten minutes ahead": 600_000, "ten minutes behind": -600_000, "at 1970": -Date.now() })) {
  test(`a visitor's clock that is ${how} changes nothing`, async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + ms });
    await answering({ ver: 3, choices: ["contextual"], categories: ["contextual"], expires_in: 300 });

    assert.deepEqual([consent.choices, consent.categories], [["contextual"], ["contextual"]]);
    assert.deepEqual(clock.left(), [270_000]);
    t.mock.timers.tick(315_000);
    assert.deepEqual([consent.choices, consent.categories], [["contextual"], ["contextual"]]);
  });
}

test("a token that is about to run out is not asked for in a circle", async () => {
  await answering({ expires_in: 1 });

  assert.deepEqual(clock.left(), [5_000]);
});

for (const [what, life] of Object.entries({ "without a token": null, "with an absolute time of old": undefined, "negative": -5 })) {
  test(`nothing is planned ${what}`, async () => {
    await answering({ expires_in: life });

    assert.deepEqual(clock.left(), []);
  });
}

test("a pending no is looked after, less often each time, six times", async () => {
  await answering({ expires_in: null, pending: true });
  const looked = [];
  for (let nth = 0; nth < 6; nth += 1) {
    const [wait] = clock.left();
    looked.push(wait / 1000);
    pop.next("GET", { adding: { expires_in: null, pending: true } });
    const asked = pop.asked.length;
    clock.go(wait);
    while (pop.asked.length === asked || (clock.left().length === 0 && looked.length < 6)) await new Promise(setImmediate);
  }

  assert.deepEqual(looked, [2, 4, 8, 16, 32, 64]);
});

test("an answer that does not come says so", async () => {
  const url = `${pop.url}/v1/consent`;
  pop.next("GET", { until: new Promise(() => {}) });

  await assert.rejects(request("GET", url, { patience: 50 }), ({ code, message }) => code === "timeout" && message.endsWith("within 0.05 s"));
});

test("a timer longer than a browser's waits all of its time", () => {
  let ran = 0;
  after(3 * 2 ** 31, () => (ran += 1), clock);
  clock.go(3 * 2 ** 31 - 1);
  assert.equal(ran, 0);
  clock.go(1);
  assert.equal(ran, 1);
});

test("a timer that was called off does not run", () => {
  const cancel = after(3 * 2 ** 31, () => assert.fail("called off"), clock);
  clock.go(2 ** 31);
  cancel();
  clock.go(2 ** 33);
});
