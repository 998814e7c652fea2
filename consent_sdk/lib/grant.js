import { known } from "./categories.js";
import { inTurn, send, showChange } from "./change.js";
import { clickYes, numbered, stillMeant } from "./clicks.js";
import { ConsentError } from "./errors.js";
import { release } from "./refusals.js";
import { sync } from "./sync.js";

/**
 * A yes to these categories, besides earlier ones. Fulfils when it is recorded. Rejects with `overtaken` where a later
 * "no" decided, and with `timeout` or `unreachable` where nothing is known of it: then say it again.
 */
export function grant(page, categories) {
  const yes = clickYes(page.view, known(categories));
  page.epoch += 1;
  return inTurn(page, () => record(page, yes));
}

async function record(page, yes) {
  if (yes.number === null) await sync(page); // now a version is known
  const { key, number, sees } = numbered(page.view, yes);
  const grant = stillMeant(page.view, yes);
  if (!grant.length) throw overtaken(yes.categories);
  const shown = page.notice ? { notice: page.notice } : {};
  const answer = await send(page, "POST", { grant, ...(number && { number }), ...shown }, key);
  const choices = answer.data?.choices ?? [];
  release(page.view, recorded(sees, choices));
  await showChange(page, answer);
  const lost = yes.categories.filter((category) => !choices.includes(category));
  if (lost.length) throw overtaken(lost);
  sync(page).catch((error) => page.fail(error)); // shows the new session: one that never comes back is swept
  return page.state;
}

/** Of the refusals that were there at the click, what this yes overrules. */
function recorded(sees, choices) {
  return sees.map(({ key, categories }) => ({ key, categories: categories.filter((c) => choices.includes(c)) }));
}

function overtaken(categories) {
  return new ConsentError("overtaken", `${categories.join(", ")}: a later no decided; say yes again if it is meant`);
}
