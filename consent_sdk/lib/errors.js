/** A refusal with the stable `code` of docs/errors.md. */
export class ConsentError extends Error {
  /** @param {string} code @param {string} message @param {number} status HTTP status; 0 when nothing answered */
  constructor(code, message, status = 0) {
    super(message || code);
    this.name = "ConsentError";
    this.code = code;
    this.status = status;
  }
}

const PASSING = new Set([0, 408, 425, 429]); // with 5xx: the same request may succeed later

/** Whether the same request, sent again, may be answered otherwise. */
export function isPassing(error) {
  if (!(error instanceof ConsentError)) return false;
  return PASSING.has(error.status) || error.status >= 500 || error.code === "session-rotated";
}
