import { due } from "./due.js";
import { inTurn } from "./change.js";
import { prepareDefaults } from "./first-paint.js";
import { observe } from "./observe.js";
import { recall } from "./memory.js";
import { retried } from "./retry.js";
import { listen } from "./stream.js";
import { refresh, swapAll, sync } from "./sync.js";
import { tabs } from "./tabs.js";

const TRIES = 3; // of a look that no click asked for; the next event tries again

/**
 * Keep the page in step with what happens elsewhere: other tabs, revocation, policy, the back button, a page that was
 * prerendered or frozen, a network that is back, a token that runs out.
 *
 * @returns {{ look: () => Promise, stop: () => void }} `look`: catch up now
 */
export function follow(page) {
  const { view, root } = page;
  const catchUp = oneAtATime(() => resync(page));
  const look = () => {
    page.obey().catch((error) => page.fail(error)); // first what needs no network
    return catchUp();
  };
  page.stream = listen(`${page.base}/v1/consent/stream`, () => {
    page.tabs.tell();
    catchUp();
  }, view);
  page.tabs = tabs(() => {
    page.stream.reopen();
    look();
  }, view);
  const stops = [
    due(page, catchUp, () => refreshed(page).catch((error) => page.fail(error))),
    observe(page),
    () => page.stream.stop(),
    () => page.tabs.stop(),
    on(view, "pageshow", (event) => (event.persisted || cameBack(view)) && look()),
    on(view, "online", look),
    on(view, "storage", ({ key }) => key === "consent-edge" && page.obey()),
    on(root, "visibilitychange", () => !root.hidden && look()), // clocks stood still, or it was prerendered
  ];
  if (cameBack(view)) look(); // the pictures may be an older visit's, out of the browser's cache
  return { look, stop: () => stops.forEach((stop) => stop()) };
}

/** What was not sent is sent, what holds is asked for, every slot follows. */
async function resync(page) {
  try {
    if (recall(page.view).unsent.length) await inTurn(page, () => {});
    await retried(() => sync(page), page.wait, TRIES);
    await page.obey();
    if (await swapAll(page)) await refreshed(page);
    prepareDefaults(page);
  } catch (error) {
    page.fail(error);
  }
}

async function refreshed(page) {
  await retried(() => refresh(page), page.wait, TRIES);
  await swapAll(page);
}

/** However often it is called while it runs, it runs once more after that. */
function oneAtATime(run) {
  let running = null;
  let again = false;
  return () => {
    again = running !== null;
    running ??= (async () => {
      do {
        again = false;
        await run();
      } while (again);
      running = null;
    })();
    return running;
  };
}

function on(target, type, handler) {
  target?.addEventListener?.(type, handler);
  return () => target?.removeEventListener?.(type, handler);
}

function cameBack(view) {
  return view.performance?.getEntriesByType?.("navigation")[0]?.type === "back_forward";
}
