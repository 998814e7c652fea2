import { after } from "./timer.js";

const REFRESH_MARGIN_S = 30; // a fresh token this long before the old one runs out,
const SOONEST_S = 5; // and never sooner than this: some clocks stand still in sleep, and an answer may be late
const LOOKS_S = [2, 4, 8, 16, 32, 64]; // when to ask whether a pending "no" has arrived everywhere

/**
 * After each answer, plan what it makes necessary: a fresh token, a look at what is pending. The answer says how long
 * from now, and `performance.now()` counts it: what the visitor's clock shows does not matter.
 *
 * @returns {() => void} stop
 */
export function due(page, look, refresh) {
  let plans = [];
  let looks = 0;
  const cancel = () => plans.splice(0).forEach((stop) => stop());
  page.onTold = () => {
    cancel();
    const { clock, told: { expires_in: life, pending } } = page;
    const gone = (clock.now() - page.heard) / 1000;
    if (life > 0) plans.push(after(Math.max(life - REFRESH_MARGIN_S - gone, SOONEST_S) * 1000, refresh, clock));
    if (pending && looks < LOOKS_S.length) plans.push(after(LOOKS_S[looks++] * 1000, look, clock));
    if (!pending) looks = 0;
  };
  page.onTold();
  return () => {
    cancel();
    page.onTold = () => {};
  };
}
