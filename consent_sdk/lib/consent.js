import { ConsentError } from "./errors.js";
import { request } from "./http.js";
import { applyDecision, findSlots, markDefault, pixelsNeeded, slotUrl, swapSlot } from "./slots.js";
import { listen } from "./stream.js";
import { tabs } from "./tabs.js";

export const CATEGORIES = Object.freeze(["contextual", "behavioral", "experimental"]);

const PICTURE_TYPES = "image/avif,image/webp"; // every browser that runs ES modules of this age shows both
const REFRESH_MARGIN_S = 30; // refresh this long before the token runs out
const ROTATED_RETRIES = 3; // another tab rotated the session cookie: its answer brings the new one
const ROTATED_WAIT_MS = 150;

/** Read the visitor's consent and keep this page's slots in step with it. */
export async function connect(options = {}) {
  const consent = new Consent(options);
  await consent.sync();
  consent.start();
  return consent;
}

/**
 * A visitor's own consent. Emits `change` with the state as `detail`, and `error` with a ConsentError.
 *
 * state: { choices, categories, revoked, gpc_honoured, jurisdiction, reasons, receipt, ver, expires_in }
 */
export class Consent extends EventTarget {
  #root;
  #fetch;
  #timer = null;
  #stop = [];
  #stream = null;
  #tabs = null;
  #changing = 0; // our own changes under way: what the stream says of them is no news

  constructor({ root = globalThis.document, fetcher = (...args) => fetch(...args) } = {}) {
    super();
    this.#root = root;
    this.#fetch = fetcher;
    this.state = Object.freeze({ choices: [], categories: [], revoked: false });
  }

  /** What the visitor chose. */
  get choices() {
    return this.state.choices ?? [];
  }

  /** What is effective: policy may make less of the choices, never more. */
  get categories() {
    return this.state.categories ?? [];
  }

  /** Ask the POP what holds now. */
  async sync() {
    const { data } = await request("GET", "/v1/consent", undefined, this.#fetch);
    return this.#adopt(data);
  }

  /** Say yes to these categories, keeping earlier choices. */
  grant(...categories) {
    const choices = known([...this.choices, ...categories]);
    return this.#change("POST", () => ({ grant: choices, ...this.#wishes() }));
  }

  /** Say no to these categories; without an argument, to all. Works even while the control plane is away. */
  withdraw(...categories) {
    const partial = categories.length && this.choices.some((choice) => !categories.includes(choice));
    const body = partial ? { categories: known(categories) } : {};
    return this.#change("DELETE", () => ({ ...body, ...this.#wishes() }));
  }

  /** A fresh token for the same choices. */
  async refresh() {
    const { data } = await request("POST", "/v1/consent/refresh", {}, this.#fetch);
    return this.#adopt(data);
  }

  /** Show the current decision in every slot of the page. */
  async swapAll() {
    const swaps = await Promise.allSettled(findSlots(this.#root).map((image) => swapSlot(image, this.#fetch)));
    for (const swap of swaps) if (swap.status === "rejected") this.#fail(swap.reason);
    return swaps.some((swap) => swap.value?.refresh);
  }

  /** Follow changes made elsewhere: other tabs, revocation, policy, the back button, a token running out. */
  start() {
    const view = this.#root?.defaultView ?? globalThis;
    const onShow = (event) => {
      if (event.persisted || cameBack(view)) this.#resync();
    };
    view.addEventListener?.("pageshow", onShow);
    this.#stop.push(() => view.removeEventListener?.("pageshow", onShow));
    this.#stream = listen("/v1/consent/stream", () => this.#resync(), view);
    this.#tabs = tabs(() => this.#changedElsewhere(), view);
    this.#stop.push(() => this.#stream.stop(), () => this.#tabs.stop());
    if (cameBack(view)) this.#resync(); // the pictures may be an older visit's, out of the browser's cache
    else if (!this.categories.length) findSlots(this.#root).forEach(markDefault);
  }

  /** Stop listening. */
  close() {
    clearTimeout(this.#timer);
    for (const stop of this.#stop.splice(0)) stop();
  }

  async #change(method, body) {
    this.#changing += 1;
    try {
      const data = await this.#withRotation(method, body);
      const state = this.#adopt(data);
      await this.#showDecisions(data?.slots);
      this.#tabs?.tell();
      this.#stream?.reopen();
      return state;
    } finally {
      this.#changing -= 1;
    }
  }

  /** Two tabs may change consent at once; the later one is told `session-rotated` and retries with the new cookie. */
  async #withRotation(method, body) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return (await request(method, "/v1/consent", body(), this.#fetch)).data;
      } catch (error) {
        const rotated = error instanceof ConsentError && error.code === "session-rotated";
        if (!rotated || attempt >= ROTATED_RETRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, ROTATED_WAIT_MS * (attempt + 1)));
      }
    }
  }

  #adopt(data) {
    const before = JSON.stringify([this.state.categories, this.state.choices, this.state.revoked]);
    this.state = Object.freeze({ choices: [], categories: [], revoked: false, ...data, slots: undefined });
    this.#schedule();
    if (before !== JSON.stringify([this.state.categories, this.state.choices, this.state.revoked])) {
      this.dispatchEvent(new CustomEvent("change", { detail: this.state }));
    }
    return this.state;
  }

  #schedule() {
    clearTimeout(this.#timer);
    const left = (this.state.expires_in ?? 0) - REFRESH_MARGIN_S;
    if (left > 0) this.#timer = setTimeout(() => this.#refreshQuietly(), left * 1000);
  }

  #refreshQuietly() {
    return this.refresh().then(() => this.swapAll()).catch((error) => this.#fail(error));
  }

  #changedElsewhere() {
    this.#stream.reopen();
    return this.#resync();
  }

  async #resync() {
    if (this.#changing) return;
    try {
      await this.sync();
      if (await this.swapAll()) await this.#refreshQuietly();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What should come along: every slot's decision, and the largest picture on screen. The others can wait for it. */
  #wishes() {
    const slots = new Map();
    for (const image of findSlots(this.#root)) {
      const request = slotRequest(image);
      slots.set(request, Math.max(slots.get(request) ?? 0, pixelsNeeded(image)));
    }
    if (!slots.size) return {};
    const [[first, pixels], ...others] = [...slots].sort(([, a], [, b]) => b - a);
    return { slots: [{ request: first, pixels }, ...others.map(([request]) => ({ request }))], accept: PICTURE_TYPES };
  }

  /** Decisions that came along save a round trip; a slot without one is asked for. */
  async #showDecisions(decisions) {
    const bySlot = new Map((decisions ?? []).map((entry) => [entry.request, entry.decision]));
    const shows = findSlots(this.#root).map((image) => {
      const decision = bySlot.get(slotRequest(image));
      return decision ? applyDecision(image, decision) : swapSlot(image, this.#fetch);
    });
    for (const show of await Promise.allSettled(shows)) if (show.status === "rejected") this.#fail(show.reason);
  }

  #fail(error) {
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }
}

function slotRequest(image) {
  return slotUrl(image).slice("/v1/slots/".length);
}

function known(categories) {
  const unknown = categories.filter((category) => !CATEGORIES.includes(category));
  if (unknown.length) throw new ConsentError("unknown-category", `expected ${CATEGORIES.join(", ")}; got ${unknown}`);
  return CATEGORIES.filter((category) => categories.includes(category));
}

function cameBack(view) {
  return view.performance?.getEntriesByType?.("navigation")[0]?.type === "back_forward";
}
