import { randomText } from "./random.js";

/**
 * One change at a time in this browser: Web Locks where there are any, across all its tabs. Elsewhere (plain HTTP,
 * old browsers) a lease in localStorage: its holder moves a counter, and who saw it stand still for STALE_MS by their
 * own clock takes over. Where that is refused too, one at a time in this page; numbers keep the order anyway.
 */
const NAME = "consent-edge-turn";
const BEAT_MS = 500;
const LOOK_MS = 60;
const STALE_MS = 5_000; // hidden tabs move their counter once a second at the least

let lastHere = Promise.resolve();

export function turn(view, work) {
  const locks = view.navigator?.locks;
  const run = () => (locks ? locks.request(NAME, work) : leased(view, work));
  const result = lastHere.then(run);
  lastHere = result.catch(() => {});
  return result;
}

async function leased(view, work) {
  let storage;
  try {
    storage = view.localStorage;
    await taken(storage, randomText());
  } catch {
    return work(); // no storage: alone
  }
  const beat = setInterval(() => storage.setItem(NAME, moved(storage.getItem(NAME))), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    storage.removeItem(NAME);
  }
}

/** Wait until no tab holds the lease or its counter stood still, write ours, and see whether it stayed. */
async function taken(storage, mine) {
  let seen = null;
  let since = 0;
  for (;;) {
    const now = storage.getItem(NAME);
    if (now !== seen) [seen, since] = [now, performance.now()];
    if (now === null || performance.now() - since > STALE_MS) {
      storage.setItem(NAME, `${mine} 0`);
      await pause();
      if (storage.getItem(NAME)?.startsWith(mine)) return;
    } else await pause();
  }
}

function moved(lease) {
  const [holder, count] = (lease ?? "").split(" ");
  return `${holder} ${Number(count) + 1}`;
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
