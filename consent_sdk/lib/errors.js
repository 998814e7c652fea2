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
