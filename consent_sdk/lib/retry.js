import { isPassing } from "./errors.js";

const TRIES = 6; // 0.3 + 0.6 + 1.2 + 2.4 + 4.8 s: about ten seconds, then the click's promise says so
const FIRST_WAIT_MS = 300;

/** Try until it is answered. Waits longer each time, and not at all once the network is back. */
export async function retried(attempt, wait, tries = TRIES) {
  for (let nth = 1; ; nth += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (nth >= tries || !isPassing(error)) throw error;
      await wait(FIRST_WAIT_MS * 2 ** (nth - 1) * (0.75 + Math.random() / 2));
    }
  }
}

/** Resolves after so many milliseconds, or when the browser is online again. */
export function waiting(view) {
  return (ms) => new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      view.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    view.addEventListener?.("online", done);
  });
}
