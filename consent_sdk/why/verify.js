/**
 * The chain of a decision receipt, by WebCrypto: trust file → endorsement → the POP's own key → receipt → this slot.
 * Formats: docs/formats/decision-receipt.md, endorsement.md, dsse.md, trust-file.md.
 */
const RECEIPT = "consent-edge-decision+jwt";
const ENDORSEMENT = "application/vnd.consent-edge.endorsement+json";
const utf8 = new TextEncoder();

const NAMES = ["signature", "endorsement", "trust", "same"];

/** { receipt, checks: [[name, holds]], trust }: `file` are the bytes of the trust file. */
export async function verify(why, decision, file) {
  const receipt = part(why.receipt, 1);
  try {
    const holds = await judge(why, receipt, decision, JSON.parse(read(file)));
    return { receipt, trust: await sha256(file), checks: NAMES.map((name) => [name, holds[name]]) };
  } catch (error) {
    const cannotTell = !globalThis.crypto?.subtle || error.name === "NotSupportedError"; // no HTTPS, or no Ed25519
    return { receipt, trust: null, checks: NAMES.map((name) => [name, cannotTell ? null : false]) };
  }
}

async function judge({ receipt: text, endorsement: envelope }, receipt, decision, trust) {
  const [header, endorsed] = [part(text, 0), envelope ? JSON.parse(read(bytes(envelope.payload))) : null];
  const [head, body, signature, ...more] = text.split(".");
  return {
    signature: header.typ === RECEIPT && header.alg === "EdDSA" && more.length === 0
      && header.kid === endorsed?.kid && (await signed(endorsed.key, bytes(signature), utf8.encode(`${head}.${body}`))),
    endorsement: endorsed !== null && (await isOf(endorsed, receipt)),
    trust: endorsed !== null && (await isTrusted(envelope, trust, receipt.at, endorsed.kid)),
    same: receipt.slot === decision.slot && receipt.category === decision.category
      && receipt.output.asset === decision.asset && receipt.output.copy === decision.copy,
  };
}

/** The key has the name that its bytes give, and is that POP's at that time. */
async function isOf({ spiffe_id: owner, kid, key, not_before: from, not_after: until }, { iss, at }) {
  return owner === iss && from <= at && at < until && kid === `attester-${(await sha256(bytes(key))).slice(0, 16)}`;
}

/** A key of role `attestation` signed the endorsement, counted then, and neither it nor the POP's was revoked. */
async function isTrusted({ payloadType, payload, signatures }, { keys, revoked }, at, attester) {
  if (payloadType !== ENDORSEMENT || isRevoked(revoked, attester, at)) return false;
  const body = bytes(payload);
  const message = join(utf8.encode(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `), body);
  for (const { keyid, sig } of signatures) {
    const key = keys.attestation.find(({ kid }) => kid === keyid);
    const counts = key && key.not_before <= at && (key.not_after === null || at < key.not_after);
    if (counts && !isRevoked(revoked, keyid, at) && (await signed(key.key, bytes(sig), message))) return true;
  }
  return false;
}

function isRevoked(revoked, kid, at) {
  return revoked.some((one) => one.kid === kid && one.at <= at);
}

async function signed(key, signature, message) {
  const known = await crypto.subtle.importKey("raw", bytes(key), "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", known, signature, message);
}

async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function part(text, number) {
  return JSON.parse(read(bytes(text.split(".")[number])));
}

function bytes(base64) {
  return Uint8Array.from(atob(base64.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

function read(data) {
  return new TextDecoder("utf-8", { fatal: true }).decode(data);
}

function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
