import { createServer } from "node:http";
import { categoriesOf, readRefusals } from "../lib/consent-no.js";

/**
 * A POP and its control plane as one small server that speaks `/v1/consent` (docs/page.md): numbers, keys, sessions
 * and `consent-no`, by the rules of docs/decisions/0115. Faults are put on with `next`.
 */
export class FakePop {
  asked = []; // { method, path, headers, body }
  faults = []; // of the next requests that match, in order
  records = new Map(); // session -> { ver, cats: { name: { on, at, since } }, keys }
  sessions = 0;

  static async open() {
    const pop = new this();
    pop.server = createServer((request, response) => pop.#serve(request, response));
    await new Promise((listening) => pop.server.listen(0, "127.0.0.1", listening));
    pop.url = `http://127.0.0.1:${pop.server.address().port}`;
    return pop;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((closed) => this.server.close(closed));
  }

  /**
   * What becomes of the next request of this method: `lost` before or `unanswered` after it took effect, a `status`,
   * held back `until`; `path`: only there. Resolves when it has come.
   */
  next(method, fault) {
    return new Promise((came) => this.faults.push({ method, came, ...fault }));
  }

  changes() {
    return this.asked.filter(({ method, path }) => method !== "GET" && path === "/v1/consent");
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const call = { method: request.method, path: request.url, headers: request.headers, body: text ? JSON.parse(text) : null };
    this.asked.push(call);
    const at = this.faults.findIndex(({ method, path }) => method === request.method && (path ?? request.url) === request.url);
    const [fault] = at < 0 ? [{}] : this.faults.splice(at, 1);
    fault.came?.();
    await fault.until;
    if (fault.lost) return request.socket.destroy();
    if (fault.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
    if (fault.late) {
      const end = response.end.bind(response);
      response.end = (text) => setTimeout(() => end(text), fault.late); // decided now, said later
    }
    if (fault.status) return this.#answer(response, fault.status, { error: { code: fault.code, message: fault.code } });
    if (!CONSENT.test(call.path)) return this.serve(call, response);
    const { session, status = 200, state } = this.#change(call);
    if (fault.unanswered) return request.socket.destroy();
    if (session) response.setHeader("Set-Cookie", `consent-session=${session}; Path=/; HttpOnly`);
    if (fault.doubt) response.setHeader("Consent-Edge-Code", "control-plane-unreachable");
    return this.#answer(response, fault.as ?? status, { ...state, ...fault.adding });
  }

  /** What a slot shows. */
  decide() {
    return null;
  }

  /** Whatever is not about consent. */
  serve(call, response) {
    this.#answer(response, 404, { error: { code: "route-unknown", message: call.path } });
  }

  /** What this request's visitor may be shown: their record, without what the request's cookie refuses. */
  effective(call) {
    const { record, refusals } = this.#who(call);
    return stateOf(record ?? newRecord(), refusals).categories;
  }

  #answer(response, status, body) {
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  }

  #who(call) {
    const cookies = Object.fromEntries((call.headers.cookie ?? "").split("; ").map((pair) => pair.split(/=(.*)/s)));
    const refusals = ["__Host-consent-no", "consent-no"].flatMap((name) => readRefusals(cookies[name] ?? "")?.entries ?? []);
    const session = cookies["consent-session"];
    return { session, record: this.records.get(session), refusals };
  }

  #change(call) {
    let { session, record, refusals } = this.#who(call);
    if (record) for (const no of refusals) take(record, { ...no, categories: categoriesOf(no.letters) });
    const key = call.headers["idempotency-key"];
    let fresh;
    if (call.method === "POST" && call.body.grant) {
      if (!record) this.records.set((session = fresh = `s${++this.sessions}`), (record = newRecord()));
      give(record, { ...call.body, key });
    }
    if (call.method === "DELETE" && record) take(record, { number: 0, categories: NAMES, ...call.body, key });
    const state = stateOf(record ?? newRecord(), refusals, call.body?.grant ?? [], call.body?.number ?? Infinity);
    const slots = call.body?.slots?.map(({ request }) => ({ request, decision: this.decide(request, state.categories) }));
    return { session: fresh, state: { ...state, slots } };
  }
}

const CONSENT = /^\/v1\/consent(\/refresh)?$/;
const NAMES = ["contextual", "behavioral", "experimental"];

function newRecord() {
  return { ver: 0, keys: new Set(), cats: Object.fromEntries(NAMES.map((name) => [name, { on: false, at: 0, since: 0 }])) };
}

const believed = (record, number) => (number && (number <= record.ver + 256 || !record.ver) ? number : record.ver + 1);

function give(record, { grant, number, key }) {
  if (record.keys.has(key)) return;
  record.keys.add(key);
  const at = believed(record, number);
  const ver = Math.max(record.ver + 1, at);
  const given = grant.filter((name) => at > record.cats[name].at);
  for (const name of given) record.cats[name] = { on: true, at, since: ver };
  if (given.length) record.ver = ver;
}

function take(record, { categories, number, key }) {
  if (record.keys.has(key)) return;
  record.keys.add(key);
  const at = believed(record, number);
  const later = categories.filter((name) => at >= record.cats[name].at);
  for (const name of later) record.cats[name] = { on: false, at, since: 0 };
  if (later.length) record.ver = Math.max(record.ver + 1, at);
}

/** `granted`: what this very request says yes to, by a click of that number: an earlier refusal is no word against it. */
function stateOf({ ver, cats }, refusals, granted = [], at = 0) {
  const choices = NAMES.filter((name) => cats[name].on);
  const against = ({ letters, number }) => categoriesOf(letters).filter((name) => !granted.includes(name) || number > at);
  const refused = new Set(refusals.flatMap(against));
  const superseded = refusals.map(({ key, letters, number }) => {
    const late = categoriesOf(letters).filter((name) => cats[name]?.on && number > 0 && number < cats[name].at);
    return { key, categories: late };
  });
  const categories = choices.filter((name) => !refused.has(name));
  const more = { jurisdiction: "EU", retention: { contextual: 0, behavioral: 604_800, experimental: 1_209_600 }, receipt: ver ? "e30.e30.AA" : null };
  return { ...more, choices, categories, revoked: false, ver, expires_in: 300, superseded: superseded.filter((s) => s.categories.length) };
}
