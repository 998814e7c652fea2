/** Types of the measurements. What they are: docs/page.md. */
import type { Consent } from "./consent-edge.js";

export interface MeasureOptions {
  /** The document to measure; the page's own if absent. */
  root?: Document;
  /** The path below which a front end has the POP's `/v1/`, without a slash at its end. */
  base?: string;
}

/** Report vitals, impressions and clicks, without a cookie or a name. Returns a function that ends it. */
export function measure(consent: Consent, options?: MeasureOptions): () => void;
