/** A decision receipt's chain: each link that does not hold is named, and nothing throws. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { verify } from "../why/verify.js";

const AT = 1_800_000_000;
const url = (data) => Buffer.from(data).toString("base64url");
const hex = (data) => createHash("sha256").update(data).digest("hex");

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { raw, sign: (message) => sign(null, message, privateKey), kid: `attester-${hex(raw).slice(0, 16)}` };
}

const pop = keyPair();
const operator = { ...keyPair(), kid: "attestation-1" };
const DECISION = { slot: "home-hero", category: "contextual", asset: "tents", copy: "About tents" };
const PAYLOAD = {
  iss: "spiffe://ui-tools/edge/tokyo-1", at: AT, slot: "home-hero", category: "contextual",
  output: { asset: "tents", copy: "About tents" },
};

function receiptOf(payload = PAYLOAD, key = pop, header = {}) {
  const head = url(JSON.stringify({ alg: "EdDSA", kid: key.kid, typ: "consent-edge-decision+jwt", ...header }));
  const message = `${head}.${url(JSON.stringify(payload))}`;
  return `${message}.${url(key.sign(Buffer.from(message)))}`;
}

function endorse(more = {}, signer = operator, type = "application/vnd.consent-edge.endorsement+json") {
  const value = { spiffe_id: PAYLOAD.iss, kid: pop.kid, key: url(pop.raw), not_before: AT - 60, not_after: AT + 60, ...more };
  const payload = Buffer.from(JSON.stringify(value));
  const message = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
  const signatures = [{ keyid: signer.kid, sig: signer.sign(message).toString("base64") }];
  return { payloadType: type, payload: payload.toString("base64"), signatures };
}

function trustOf(revoked = [], more = {}) {
  const key = { kid: operator.kid, algorithm: "ed25519", key: url(operator.raw), not_before: 0, not_after: null, ...more };
  return Buffer.from(JSON.stringify({ version: 2, keys: { attestation: [key] }, revoked }));
}

async function failing(why, decision = DECISION, trust = trustOf()) {
  const { checks } = await verify({ receipt: receiptOf(), endorsement: endorse(), ...why }, decision, trust);
  return checks.filter(([, holds]) => !holds).map(([name]) => name);
}

test("a chain that holds, holds, and names the trust file", async () => {
  const { checks, receipt, trust } = await verify({ receipt: receiptOf(), endorsement: endorse() }, DECISION, trustOf());
  assert.deepEqual(checks, ["signature", "endorsement", "trust", "same"].map((name) => [name, true]));
  assert.deepEqual(receipt, PAYLOAD);
  assert.equal(trust, hex(trustOf()));
});

test("what was signed by another key, or changed, fails by name", async () => {
  const stranger = keyPair();
  const text = receiptOf();
  const changed = `${text.slice(0, -10)}${text.at(-10) === "A" ? "B" : "A"}${text.slice(-9)}`;
  assert.deepEqual(await failing({ receipt: receiptOf(PAYLOAD, stranger) }), ["signature"]);
  assert.deepEqual(await failing({ receipt: receiptOf(PAYLOAD, { ...stranger, kid: pop.kid }) }), ["signature"]);
  assert.deepEqual(await failing({ receipt: changed }), ["signature"]);
  assert.deepEqual(await failing({ receipt: receiptOf(PAYLOAD, pop, { typ: "eat+jwt" }) }), ["signature"]);
  assert.deepEqual(await failing({ receipt: receiptOf(PAYLOAD, pop, { alg: "none" }) }), ["signature"]);
  assert.deepEqual(await failing({ receipt: `${text}.x` }), ["signature"]);
});

test("an endorsement of another POP, time or key fails by name", async () => {
  const other = keyPair();
  assert.deepEqual(await failing({ endorsement: endorse({ spiffe_id: "spiffe://ui-tools/edge/osaka-1" }) }), ["endorsement"]);
  assert.deepEqual(await failing({ endorsement: endorse({ not_after: AT }) }), ["endorsement"]);
  assert.deepEqual(await failing({ endorsement: endorse({ not_before: AT + 1 }) }), ["endorsement"]);
  assert.deepEqual(await failing({ endorsement: endorse({ key: url(other.raw) }) }), ["signature", "endorsement"]);
  assert.deepEqual(await failing({ endorsement: null }), ["signature", "endorsement", "trust"]);
});

test("who is not trusted, or not any more, fails by name", async () => {
  const stranger = { ...keyPair(), kid: operator.kid };
  const gone = (kid, at = AT) => trustOf([{ kid, at }]);
  assert.deepEqual(await failing({ endorsement: endorse({}, stranger) }), ["trust"]);
  assert.deepEqual(await failing({ endorsement: endorse({}, { ...operator, kid: "else" }) }), ["trust"]);
  assert.deepEqual(await failing({ endorsement: endorse({}, operator, "text/plain") }), ["trust"]);
  assert.deepEqual(await failing({}, DECISION, gone(operator.kid)), ["trust"]);
  assert.deepEqual(await failing({}, DECISION, gone(pop.kid)), ["trust"]);
  assert.deepEqual(await failing({}, DECISION, gone(pop.kid, AT + 1)), []);
  assert.deepEqual(await failing({}, DECISION, trustOf([], { not_after: AT })), ["trust"]);
  assert.deepEqual(await failing({}, DECISION, trustOf([], { not_before: AT + 1 })), ["trust"]);
});

test("a receipt of another picture fails by name", async () => {
  for (const more of [{ slot: "promo-tile" }, { category: "behavioral" }, { asset: "boats" }, { copy: "Else" }]) {
    assert.deepEqual(await failing({}, { ...DECISION, ...more }), ["same"]);
  }
});

test("rubbish holds nothing and throws nothing", async () => {
  const every = ["signature", "endorsement", "trust", "same"];
  assert.deepEqual(await failing({ endorsement: { payload: "!" } }), every);
  assert.deepEqual(await failing({}, DECISION, Buffer.from("{")), every);
  assert.deepEqual(await failing({ endorsement: endorse({ key: "AA" }) }), every);
});
