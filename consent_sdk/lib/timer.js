const LONGEST_MS = 2 ** 31 - 1; // a longer timer goes off at once

/** Milliseconds that only go forward: not the visitor's clock, which may show anything and may be set. */
export const CLOCK = Object.freeze({
  now: () => performance.now(),
  set: (run, ms) => setTimeout(run, ms),
  clear: (timer) => clearTimeout(timer),
});

/** Run after so many milliseconds, however many. Returns a function that calls it off. */
export function after(ms, run, clock = CLOCK) {
  const due = clock.now() + ms;
  let timer;
  const arm = () => {
    const left = Math.max(due - clock.now(), 0);
    timer = clock.set(left > LONGEST_MS ? arm : run, Math.min(left, LONGEST_MS));
  };
  arm();
  return () => clock.clear(timer);
}
