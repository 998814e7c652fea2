import { ConsentError } from "./errors.js";

export const CATEGORIES = Object.freeze(["contextual", "behavioral", "experimental"]);

/** These categories in their one order. Throws: ConsentError("unknown-category"). */
export function known(categories) {
  const unknown = categories.filter((category) => !CATEGORIES.includes(category));
  if (unknown.length) throw new ConsentError("unknown-category", `expected ${CATEGORIES.join(", ")}; got ${unknown}`);
  return CATEGORIES.filter((category) => categories.includes(category));
}
