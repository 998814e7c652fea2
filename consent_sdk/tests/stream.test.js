import assert from "node:assert/strict";
import { test } from "node:test";
import { listen } from "../lib/stream.js";

class FakeSource extends EventTarget {
  static open = [];
  constructor(url) {
    super();
    this.url = url;
    FakeSource.open.push(this);
  }
  close() {
    FakeSource.open = FakeSource.open.filter((source) => source !== this);
  }
}

const page = () => {
  FakeSource.open = [];
  return Object.assign(new EventTarget(), {
    EventSource: FakeSource,
    document: Object.assign(new EventTarget(), { hidden: false }),
  });
};
const say = (target, type) => target.dispatchEvent(new Event(type));

test("a change on the stream is passed on", () => {
  const view = page();
  let changes = 0;
  listen("/v1/consent/stream", () => (changes += 1), view);
  say(FakeSource.open[0], "change");

  assert.equal(changes, 1);
});

test("a reconnected stream may have missed something, the first connection has not", () => {
  const view = page();
  let changes = 0;
  listen("/v1/consent/stream", () => (changes += 1), view);
  say(FakeSource.open[0], "open");
  assert.equal(changes, 0);
  say(FakeSource.open[0], "open");

  assert.equal(changes, 1);
});

test("a hidden page hangs up and opens again when shown", () => {
  const view = page();
  listen("/v1/consent/stream", () => {}, view);
  view.document.hidden = true;
  say(view.document, "visibilitychange");
  assert.equal(FakeSource.open.length, 0);
  view.document.hidden = false;
  say(view.document, "visibilitychange");

  assert.equal(FakeSource.open.length, 1);
});

test("a page entering the back/forward cache holds no connection and reopens once", () => {
  const view = page();
  listen("/v1/consent/stream", () => {}, view);
  say(view, "pagehide");
  assert.equal(FakeSource.open.length, 0);
  say(view, "pageshow");
  say(view, "pageshow");

  assert.equal(FakeSource.open.length, 1);
});

test("after stop nothing is listened to", () => {
  const view = page();
  const { stop } = listen("/v1/consent/stream", () => assert.fail("not after stop"), view);
  const [source] = FakeSource.open;
  stop();
  say(source, "open");
  say(view, "pageshow");

  assert.equal(FakeSource.open.length, 0);
});

test("a reopened stream is a new one, and a closed one stays closed", () => {
  const view = page();
  const stream = listen("/v1/consent/stream", () => {}, view);
  const [first] = FakeSource.open;
  stream.reopen();
  assert.notEqual(FakeSource.open[0], first);
  say(view, "pagehide");
  stream.reopen();

  assert.equal(FakeSource.open.length, 0);
});
