import { settle, prepareDefaults } from "./first-paint.js";
import { follow } from "./follow.js";
import { grant } from "./grant.js";
import { notice } from "./notice.js";
import { Page } from "./page.js";
import { refused } from "./refusals.js";
import { refresh, swapAll, sync } from "./sync.js";
import { withdraw } from "./withdraw.js";

/**
 * A visitor's own consent. Emits `change` with the state as `detail`, `first-consent` with it after a
 * visitor's first answer, and `error` with a ConsentError.
 *
 * state: { known, choices, categories, pending, revoked, gpc_honoured, jurisdiction, reasons, receipt, ver, retention, notice }
 */
export class Consent extends EventTarget {
  #page;
  #following = null;
  #isNew = false; // a POP said that this visitor has not chosen yet

  /** `base`: the path below which a front end has the POP's `/v1/`. */
  constructor({ root = globalThis.document, fetcher = (...args) => fetch(...args), base = "", ...more } = {}) {
    super();
    const emit = (type, detail) => {
      this.dispatchEvent(new CustomEvent(type, { detail }));
      if (type === "change") this.#tellFirst(detail);
    };
    this.#page = new Page({ root, fetcher, base, ...more }, emit);
  }

  get state() {
    return this.#page.state;
  }

  /** What the visitor chose. */
  get choices() {
    return this.state.choices;
  }

  /** What is effective: policy may make less of the choices, never more. */
  get categories() {
    return this.state.categories;
  }

  /** Whether this visitor said anything yet. Where no POP answers, whether this browser knows of it. */
  get decided() {
    return this.state.ver > 0 || refused(this.#page.view).size > 0;
  }

  grant(...categories) {
    return grant(this.#page, categories);
  }

  withdraw(...categories) {
    return withdraw(this.#page, categories);
  }

  sync() {
    return sync(this.#page);
  }

  refresh() {
    return refresh(this.#page);
  }

  notice(language) {
    return notice(this.#page, language);
  }

  swapAll() {
    return swapAll(this.#page);
  }

  /** Read what holds, then follow it. Where no POP answers, `state.known` is false: a "no" works all the same. */
  async start() {
    this.#following = follow(this.#page);
    try {
      if (refused(this.#page.view).size) await this.#page.forget();
      await sync(this.#page);
    } catch (error) {
      setTimeout(() => this.#page.fail(error)); // when who called `connect` listens
      this.#following.look();
    }
    await settle(this.#page);
    prepareDefaults(this.#page);
  }

  /** `first-consent`: the first answer of a visitor who had given none, a yes or a no. */
  #tellFirst(state) {
    const isFirst = this.#isNew && this.decided;
    this.#isNew = state.known && !this.decided;
    if (isFirst) this.dispatchEvent(new CustomEvent("first-consent", { detail: state }));
  }

  /** Stop following. */
  close() {
    this.#following?.stop();
  }
}
