/**
 * `<consent-panel>`: a banner for who has not chosen yet, preferences for everybody, over the SDK.
 *
 *   <consent-panel></consent-panel>
 *   <script type="module" src="/sdk/panel.js"></script>
 *
 * Attributes: `lang` (else the page's, else the browser's), `base` (path of the POP), `open` (never folds away where there is room).
 * What stands in the element, a plain form for instance, is there until the panel is. `element.consent` is the SDK's
 * Consent once `await element.ready`. A link to `#` and the element's id opens it.
 */
import { CATEGORIES } from "./lib/categories.js";
import { Consent } from "./lib/consent.js";
import { makeRoom } from "./panel/room.js";
import { dress } from "./panel/style.js";
import { build, say, show, showNotice } from "./panel/view.js";
import { wordsFor } from "./panel/words.js";

const PATIENCE_MS = 3_000;

let count = 0;

export class ConsentPanel extends HTMLElement {
  consent = null;
  #view = null;
  #words = null;
  #language = "en";
  #fit = () => {};
  #isReady;

  /** Resolves when the panel works, also without an answer of the server. */
  ready = new Promise((resolve) => (this.#isReady = resolve));

  connectedCallback() {
    if (!this.#view) this.#begin().then(this.#isReady);
  }

  async #begin() {
    this.#view = {};
    const asked = this.lang || document.documentElement.lang;
    ({ language: this.#language, words: this.#words } = await wordsFor([asked, ...navigator.languages].filter(Boolean)));
    this.#view = build(this.#words, this.#language, this.id || `consent-${(count += 1)}`);
    await loaded();
    dress(document);
    this.consent = new Consent({ base: this.getAttribute("base") ?? "" });
    this.replaceChildren(this.#view.launcher, this.#view.sheet);
    this.#fit = makeRoom(this, this.#view.sheet);
    this.#listen();
    this.#fold(true);
    await Promise.race([this.consent.start(), patience()]);
    this.#show();
    this.#fold(this.consent.decided && !this.#isLinked());
    this.#readNotice();
  }

  #listen() {
    const { sheet, launcher, close, reject, accept, receipt } = this.#view;
    this.consent.addEventListener("change", () => this.#show());
    this.consent.addEventListener("error", ({ detail }) => this.#fail(detail));
    sheet.addEventListener("change", ({ target }) => this.#toggle(target));
    sheet.addEventListener("keydown", ({ key }) => key === "Escape" && this.#fold(true, true));
    close.addEventListener("click", () => this.#fold(true, true));
    launcher.addEventListener("click", () => this.#fold(false, true));
    reject.addEventListener("click", () => this.#answer(() => this.consent.withdraw()));
    accept.addEventListener("click", () => this.#answer(() => this.consent.grant(...CATEGORIES)));
    receipt.addEventListener("click", () => this.#offer(receipt));
    addEventListener("hashchange", () => this.#isLinked() && this.#fold(false, true));
  }

  /** Both answers fold the panel away; a yes that was not recorded brings it back. */
  async #answer(change) {
    const done = this.#during(Object.values(this.#view.inputs), change);
    this.#fold(true, true);
    if (!(await done)) this.#fold(false);
  }

  #toggle(input) {
    const { name, checked } = input;
    if (!CATEGORIES.includes(name)) return;
    this.#during([input], () => (checked ? this.consent.grant(name) : this.consent.withdraw(name)));
  }

  async #during(inputs, change) {
    for (const input of inputs) input.setAttribute("aria-busy", "true");
    try {
      await change();
      return true;
    } catch (error) {
      this.#fail(error);
      return this.consent.state.pending; // a no holds
    } finally {
      for (const input of inputs) input.removeAttribute("aria-busy");
      this.#show(Boolean(this.#view.output.classList.contains("bad")));
    }
  }

  #show(keepsText = false) {
    const { output } = this.#view;
    const [text, bad] = [output.textContent, output.classList.contains("bad")];
    show(this.#view, this.consent.state, this.#words, this.#language);
    if (keepsText) say(this.#view, text, bad);
  }

  #fail(error) {
    const { pending, known } = this.consent.state;
    if (pending || !known) return this.#show();
    say(this.#view, `${this.#words.failed} (${error.code ?? error.message})`, true);
  }

  async #readNotice() {
    try {
      showNotice(this.#view, await this.consent.notice(this.#language));
      this.#view.notice.open = !this.consent.decided;
    } catch (error) {
      this.#fail(error);
    }
  }

  #fold(away, moveFocus = false) {
    const { sheet, launcher, close, notice } = this.#view;
    const stays = this.hasAttribute("open") && matchMedia("(min-width: 48rem)").matches;
    close.hidden = stays || !this.consent.decided;
    sheet.hidden = away && !stays;
    launcher.hidden = !sheet.hidden;
    if (away) notice.open = false;
    this.#fit();
    if (moveFocus && !stays) (sheet.hidden ? launcher : sheet).focus();
  }

  #isLinked() {
    return this.id !== "" && location.hash === `#${this.id}`;
  }

  #offer(link) {
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([this.consent.state.receipt], { type: "application/jwt" }));
  }
}

function loaded() {
  return new Promise((done) => {
    if (document.readyState === "complete") done();
    else addEventListener("load", done, { once: true });
  });
}

/** A server that keeps silent must not keep the panel away. */
function patience() {
  return new Promise((done) => setTimeout(done, PATIENCE_MS));
}

customElements.define("consent-panel", ConsentPanel);
