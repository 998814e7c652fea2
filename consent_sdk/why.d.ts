/** Types of `explain`. What is verified: docs/page.md. */
import type { Category, Decision } from "./consent-edge.js";

export type Check = "signature" | "endorsement" | "trust" | "same";

/** The payload of a decision receipt: docs/formats/decision-receipt.md. */
export interface DecisionReceipt {
  readonly iss: string;
  /** Unix seconds. */
  readonly at: number;
  readonly slot: string;
  readonly category: Category;
  readonly jurisdiction: string;
  readonly policy_hash: string;
  readonly token_exp: number;
  readonly component: string;
  readonly input: {
    readonly signals: Readonly<Record<"page" | "history" | "experiment", unknown>>;
    readonly candidates: readonly unknown[];
    readonly entropy: number;
  };
  readonly output: Readonly<Record<string, unknown>>;
  readonly seen: string;
}

export interface Explanation {
  readonly decision: Decision;
  /** Why it is the default, a code of docs/errors.md. */
  readonly code: string | null;
  /** Null for a default: nothing was decided. */
  readonly receipt: DecisionReceipt | null;
  /** Null: this browser cannot tell. */
  readonly checks: readonly (readonly [Check, boolean | null])[];
  /** SHA-256 of the trust file, in hex. */
  readonly trust: string | null;
  /** What `edge evidence replay` takes. */
  readonly given: { readonly receipt: string; readonly endorsement: unknown } | null;
}

export function explain(
  image: HTMLImageElement,
  options?: { base?: string; fetcher?: typeof fetch },
): Promise<Explanation>;
