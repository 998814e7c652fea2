import assert from "node:assert/strict";
import { test } from "node:test";
import { Consent, ConsentError } from "../consent-edge.js";
import { emptyPage, fakePop, state } from "./fakes.js";

const consentOver = (answers) => {
  const pop = fakePop(answers);
  return { consent: new Consent({ root: emptyPage, fetcher: pop.fetcher }), asked: pop.asked };
};

test("a grant keeps earlier choices", async () => {
  const { consent, asked } = consentOver({
    "GET /v1/consent": { body: state(["contextual"]) },
    "POST /v1/consent": { body: state(["contextual", "behavioral"]) },
  });
  await consent.sync();
  await consent.grant("behavioral");

  assert.deepEqual(asked[1].body.choices, ["contextual", "behavioral"]);
  assert.deepEqual(consent.categories, ["contextual", "behavioral"]);
});

test("withdrawing everything names no category", async () => {
  const { consent, asked } = consentOver({ "DELETE /v1/consent": { status: 202, body: { ...state([]), revoked: true } } });
  await consent.withdraw();

  assert.deepEqual(asked[0].body, {});
  assert.equal(consent.state.revoked, true);
});

test("a change is told once, and not at all when nothing changed", async () => {
  const { consent } = consentOver({ "GET /v1/consent": { body: state(["contextual"]) } });
  const seen = [];
  consent.addEventListener("change", (event) => seen.push(event.detail.categories));
  await consent.sync();
  await consent.sync();

  assert.deepEqual(seen, [["contextual"]]);
});

test("a session rotated by another tab is retried with the new cookie", async () => {
  const rotated = { status: 409, body: { error: { code: "session-rotated", message: "try again" } } };
  const { consent, asked } = consentOver({ "POST /v1/consent": [rotated, { body: state(["contextual"]) }] });
  await consent.grant("contextual");

  assert.equal(asked.length, 2);
  assert.deepEqual(consent.choices, ["contextual"]);
});

test("a refusal carries the stable code and leaves the state alone", async () => {
  const refusal = { status: 403, body: { error: { code: "cross-site", message: "not from here" } } };
  const { consent } = consentOver({ "POST /v1/consent": refusal });

  await assert.rejects(consent.grant("contextual"), (error) => error instanceof ConsentError && error.code === "cross-site");
  assert.deepEqual(consent.choices, []);
});

test("an unknown category is refused before anything is sent", () => {
  const { consent, asked } = consentOver({});

  assert.throws(() => consent.grant("everything"), { code: "unknown-category" });
  assert.equal(asked.length, 0);
});

test("no answer is an error with a code, not a rejected fetch", async () => {
  const { consent } = consentOver({ "GET /v1/consent": new TypeError("connection refused") });

  await assert.rejects(consent.sync(), { code: "unreachable", status: 0 });
});

test("an error page that is not JSON still gives a code", async () => {
  const fetcher = async () => new Response("<h1>Bad gateway</h1>", { status: 502 });
  const consent = new Consent({ root: emptyPage, fetcher });

  await assert.rejects(consent.sync(), { code: "http-error", status: 502 });
});
