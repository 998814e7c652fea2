/** Types of `<consent-panel>`. */
import type { Consent } from "./consent-edge.js";

export class ConsentPanel extends HTMLElement {
  /** The SDK beneath; null until `ready`. */
  readonly consent: Consent | null;
  readonly ready: Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "consent-panel": ConsentPanel;
  }
}
