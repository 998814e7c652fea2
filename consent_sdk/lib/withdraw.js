import { CATEGORIES, known } from "./categories.js";
import { inTurn } from "./change.js";
import { clickNo } from "./clicks.js";
import { isPassing } from "./errors.js";
import { sync } from "./sync.js";

/**
 * A "no" to these categories; without one, to all. It is in force in this browser, on screen and in every tab, before
 * anything is sent. Fulfils when a POP has it durably (`state.pending` while the control plane does not), and no
 * picture of these categories is on screen or in a cache. Rejects when that is not so yet: it holds here all the same.
 */
export function withdraw(page, categories) {
  const named = known(categories);
  const all = !named.length || named.length === CATEGORIES.length;
  const no = clickNo(page.view, all ? null : named);
  page.epoch += 1;
  page.tabs?.tell();
  const shown = page.obey();
  return delivered(page, no, shown);
}

async function delivered(page, no, shown) {
  try {
    const { state, error } = await inTurn(page, async (outcomes) => outcomes.get(no.key) ?? { state: await sync(page) });
    if (error) throw error;
    await shown;
    await page.forget(); // a worker may have put back what was under way
    return page.obey().then(() => state && page.state);
  } catch (error) {
    if (isPassing(error)) error.message += ": the no holds in this browser and is sent again by itself";
    throw error;
  }
}
