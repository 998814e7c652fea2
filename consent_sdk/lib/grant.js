import { known } from "./categories.js";
import { inTurn, send, showChange } from "./change.js";
import { clickYes, numbered, stillMeant } from "./clicks.js";
import { ConsentError } from "./errors.js";
import { release } from "./refusals.js";
import { sync } from "./sync.js";

/**
 * A yes to these categories, besides earlier ones. Fulfils when it is recorded. Rejects with `overtaken` where a later
 * "no" decided, with `insecure-context` or `cookies-blocked` where this browser does not keep the session, and with
 * `timeout` or `unreachable` where nothing is known of it: then say it again.
 */
export function grant(page, categories) {
  page.view.performance?.mark?.("consent-edge-yes"); // for who measures how long a yes takes
  const yes = clickYes(page.view, known(categories));
  page.epoch += 1;
  return inTurn(page, () => record(page, yes));
}

async function record(page, yes) {
  if (yes.number === null) await sync(page); // now a version is known
  const kept = page.told.ver > 0; // a session of this browser's was presented and found
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
  const shownAgain = sync(page); // shows the new session: one that never comes back is swept
  if (kept) shownAgain.catch((error) => page.fail(error));
  else await requireKept(page, shownAgain);
  return page.state;
}

/** Where this browser keeps no session, the page shows the default again, and the yes is none. */
async function requireKept(page, shownAgain) {
  try {
    await shownAgain;
  } catch (error) {
    return page.fail(error);
  }
  if (page.told.ver > 0 || !page.sure) return;
  await page.obey(); // nothing is in effect: the default, everywhere
  if (page.view.isSecureContext === false) {
    throw new ConsentError("insecure-context", "browsers keep this cookie over HTTPS only: serve the page by HTTPS, or from localhost");
  }
  throw new ConsentError("cookies-blocked", "this browser keeps no cookies of this site: allow them, then say yes again");
}

/** Of the refusals that were there at the click, what this yes overrules. */
function recorded(sees, choices) {
  return sees.map(({ key, categories }) => ({ key, categories: categories.filter((c) => choices.includes(c)) }));
}

function overtaken(categories) {
  return new ConsentError("overtaken", `${categories.join(", ")}: a later no decided; say yes again if it is meant`);
}
