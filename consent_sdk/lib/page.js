import { refreshAddresses } from "./addresses.js";
import { forgetDecided } from "./caches.js";
import { learn } from "./clicks.js";
import { request } from "./http.js";
import { recall, remember } from "./memory.js";
import { disown, foreign, refused, release } from "./refusals.js";
import { waiting } from "./retry.js";
import { findSlots } from "./slots.js";
import { backToDefault } from "./swap.js";
import { CLOCK } from "./timer.js";

const RESTING = new Set(["default", "none"]);
const NOTHING = Object.freeze({ known: false, choices: [], categories: [], revoked: false, pending: false });

/**
 * This page's view of the visitor's consent: what every verb works on. `told` is what a POP said last; `state` is
 * that without what this browser refused since.
 */
export class Page {
  told = NOTHING;
  state = NOTHING;
  epoch = 0; // rises with each click and each recorded change: an answer that was asked for before is old
  sure = false; // whether the POP that told could ask
  heard = 0; // the clock when the request of `told` was sent: its durations count from there
  onTold = () => {};
  notice = null; // the digest of the one that the page shows
  tabs = null;
  stream = null;
  #refused; // what was refused when this page looked last

  constructor({ root, fetcher, base, wait, clock = CLOCK }, emit) {
    this.clock = clock;
    this.root = root;
    this.view = root?.defaultView ?? globalThis;
    this.fetcher = fetcher;
    this.base = base;
    this.wait = wait ?? waiting(this.view);
    this.emit = emit;
    this.#refused = refused(this.view);
  }

  get slots() {
    return findSlots(this.root);
  }

  /** A request about consent. A cookie `consent-no` of somebody else narrows it, and then goes. */
  async ask(method, path, body, key) {
    const others = foreign(this.view);
    const asked = this.clock.now();
    const headers = { "Consent-Client": "sdk", ...(key && { "Idempotency-Key": key }) };
    const options = { body, headers, fetcher: this.fetcher, keepalive: Boolean(key) };
    const { data, response } = await request(method, `${this.base}/v1/consent${path}`, options);
    disown(this.view, others);
    return { data, asked, sure: !response.headers.get("Consent-Edge-Code") };
  }

  /** Take over what a POP said. */
  adopt({ data, asked, sure }) {
    if (sure || data?.ver > 0) learn(this.view, data?.ver); // a POP that could not ask knows of no record: not of none
    release(this.view, data?.superseded ?? []);
    if (data?.retention?.consent > 0) remember(this.view, { life: data.retention.consent });
    this.told = { ...NOTHING, ...data, known: true };
    this.sure = sure;
    this.heard = asked;
    this.onTold();
    return this.renew();
  }

  /** What holds in this browser: what was told, without what was refused. Says `change` if that is news. */
  renew() {
    const no = refused(this.view);
    const left = (categories) => (categories ?? []).filter((category) => !no.has(category));
    const { expires_in, slots, superseded, ...told } = this.told;
    const [choices, categories] = [left(told.choices), left(told.categories)];
    const pending = Boolean(told.pending) || recall(this.view).unsent.length > 0;
    const before = this.state;
    this.state = Object.freeze({ ...told, choices, categories, pending });
    if (JSON.stringify(before) !== JSON.stringify(this.state)) this.emit("change", this.state);
    return this.state;
  }

  /**
   * A picture of a category that is not in effect gives way to the default, now; after a new "no", so does what is not known
   * to be the default. Resolves when it is on screen and out of every cache.
   */
  async obey() {
    const { categories } = this.renew();
    const isNews = this.#isNews();
    const wrong = this.slots.filter(({ dataset: { consentCategory: shown } }) => {
      return shown === undefined ? isNews : !RESTING.has(shown) && !categories.includes(shown);
    });
    if (!wrong.length && !isNews) return;
    const shown = wrong.map((image) => backToDefault(image, this.base));
    await Promise.all([...shown, this.forget()]);
  }

  #isNews() {
    const [now, before] = [refused(this.view), this.#refused];
    this.#refused = now;
    return [...now].some((category) => !before.has(category));
  }

  /** What was decided leaves the caches of service workers and the browser's memory. */
  async forget() {
    await forgetDecided(this.view, this.base).catch((error) => this.fail(error));
    if (refused(this.view).size) await refreshAddresses(this);
  }

  fail(error) {
    this.emit("error", error);
  }
}
