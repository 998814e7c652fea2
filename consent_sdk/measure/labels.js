import { CATEGORIES } from "../lib/categories.js";

/** What a report says beside its number: the slot, the consent state that it shows, the model that decided. */
export class Labels {
  #consent;
  #atFirst;
  #slots;

  constructor(consent, root) {
    this.#consent = consent;
    this.#atFirst = this.page();
    this.#slots = new Map([...root.querySelectorAll("img[data-consent-slot]")].map((image) => [image, this.slot(image)]));
  }

  /** The page as it is now: the category in effect that reaches furthest. */
  page() {
    return this.#with(CATEGORIES.findLast((name) => this.#consent.categories.includes(name)));
  }

  /** The page as it first came, for what is measured while it loads. `element`: what was painted. */
  first(element) {
    return this.#slots.get(element) ?? this.#atFirst;
  }

  /** A slot as it is now. A picture of the first response that was not swapped is what the page's state makes of it. */
  slot(image) {
    const { consentSlot: slot, consentCategory: state } = image.dataset;
    return { slot, ...(state === undefined ? this.page() : this.#with(state)) };
  }

  #with(state) {
    if (!CATEGORIES.includes(state)) return { state: "default" };
    const model = this.#consent.state.models?.[state];
    return { state, ...(model && { model }) };
  }
}
