/** Types of the Consent SDK. What everything does: docs/page.md. */
export type Category = "contextual" | "behavioral" | "experimental";

export const CATEGORIES: readonly Category[];

export interface ConsentState {
  /** Whether a POP has answered yet; while false, nothing but a "no" of this browser is known. */
  readonly known: boolean;
  readonly choices: readonly Category[];
  readonly categories: readonly Category[];
  /** A "no" holds here and is on its way. */
  readonly pending: boolean;
  readonly revoked: boolean;
  readonly ver?: number;
  readonly gpc_honoured?: boolean;
  readonly jurisdiction?: string;
  readonly reasons?: Readonly<Record<string, string>>;
  /** The signed receipt of this version, for keeping. */
  readonly receipt?: string | null;
  /** What decides each category here: the beginning of a release's digest. */
  readonly models?: Readonly<Record<string, string>>;
  /** Seconds. */
  readonly retention?: Readonly<Record<string, number>>;
}

export interface Notice {
  readonly jurisdiction: string;
  readonly language: string;
  readonly clause_id: string;
  readonly text: string;
  readonly digest: string;
}

export interface Decision {
  readonly slot: string;
  readonly asset: string;
  readonly copy: string;
  readonly category: Category | "default";
  readonly reason: string;
  readonly rendition: { readonly url: string; readonly srcset?: string };
}

export interface Options {
  /** The document to follow; the page's own if absent. */
  root?: Document;
  fetcher?: typeof fetch;
  /** The path below which a front end has the POP's `/v1/`, without a slash at its end. */
  base?: string;
}

export class ConsentError extends Error {
  constructor(code: string, message?: string, status?: number);
  /** Stable; listed in docs/errors.md. */
  readonly code: string;
  /** HTTP status; 0 when nothing answered. */
  readonly status: number;
}

interface ConsentEvents {
  change: CustomEvent<ConsentState>;
  /** The first answer, yes or no, of a visitor who had given none. */
  "first-consent": CustomEvent<ConsentState>;
  error: CustomEvent<ConsentError>;
}

export class Consent extends EventTarget {
  constructor(options?: Options);
  readonly state: ConsentState;
  readonly choices: readonly Category[];
  readonly categories: readonly Category[];
  /** Whether this visitor said anything yet. */
  readonly decided: boolean;
  grant(...categories: Category[]): Promise<ConsentState>;
  withdraw(...categories: Category[]): Promise<ConsentState>;
  sync(): Promise<ConsentState>;
  refresh(): Promise<ConsentState>;
  notice(language?: string): Promise<Notice>;
  swapAll(): Promise<boolean>;
  start(): Promise<void>;
  close(): void;
  addEventListener<K extends keyof ConsentEvents>(
    type: K,
    listener: (event: ConsentEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export function connect(options?: Options): Promise<Consent>;

export function swapSlot(
  image: HTMLImageElement,
  fetcher?: typeof fetch,
  base?: string,
): Promise<{ decision: Decision; refresh: boolean }>;

declare global {
  interface HTMLElementEventMap {
    "consent-swap": CustomEvent<Decision>;
  }
}
