import { answered } from "./clicks.js";
import { ConsentError, isPassing } from "./errors.js";
import { recall } from "./memory.js";
import { retried } from "./retry.js";
import { companions, slotRequest } from "./slots.js";
import { applyDecision, swapSlot } from "./swap.js";
import { turn } from "./turns.js";

/** Do this change when it is its turn: after every "no" of this browser that no server has answered yet. */
export function inTurn(page, work) {
  return turn(page.view, async () => work(await sendRefusals(page)));
}

/** Send what was refused, oldest first. A Map: key -> what became of it, `state` or `error`. */
async function sendRefusals(page) {
  const outcomes = new Map();
  for (let [no] = recall(page.view).unsent; no; [no] = recall(page.view).unsent) {
    outcomes.set(no.key, await sendRefusal(page, no));
  }
  return outcomes;
}

/** Throws where it may yet be answered: then it stays, and what comes after it waits. */
async function sendRefusal(page, { key, number, categories }) {
  try {
    const answer = await send(page, "DELETE", { ...(categories && { categories }), ...(number && { number }) }, key);
    answered(page.view, key);
    return { state: await showChange(page, answer) };
  } catch (error) {
    if (isPassing(error)) throw error;
    answered(page.view, key); // refused for good: the cookie still says it
    page.renew();
    return { error };
  }
}

/** One change with the page's slots; without them where they are what is refused. */
export async function send(page, method, body, key) {
  const more = companionsOf(page);
  try {
    return await retried(() => page.ask(method, "", { ...body, ...more }, key), page.wait);
  } catch (error) {
    if (!more.slots || isPassing(error) || !(error instanceof ConsentError)) throw error;
    return retried(() => page.ask(method, "", body, key), page.wait);
  }
}

/** What a recorded change leads to: the state, the pictures, the other tabs. */
export async function showChange(page, answer) {
  page.epoch += 1;
  page.adopt(answer);
  page.tabs?.tell();
  page.stream?.reopen();
  await Promise.all([page.obey(), page.forget()]);
  await showDecisions(page, answer.data?.slots);
  return page.state;
}

function companionsOf(page) {
  try {
    return companions(page.slots);
  } catch (error) {
    page.fail(error);
    return {};
  }
}

/** Decisions that came along save a round trip; a slot without one is asked for. */
async function showDecisions(page, decisions) {
  const bySlot = new Map((decisions ?? []).map((entry) => [entry.request, entry.decision]));
  const shows = page.slots.map(async (image) => {
    const decision = bySlot.get(slotRequest(image));
    return decision ? applyDecision(image, decision, page.base) : swapSlot(image, page.fetcher, page.base);
  });
  for (const show of await Promise.allSettled(shows)) if (show.status === "rejected") page.fail(show.reason);
}
