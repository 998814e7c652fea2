const WINDOW_MS = 5_000; // of layout shifts that count together, and
const GAP_MS = 1_000; // the longest pause within it
const LONGEST = 10; // interactions that are kept: the worst but one in fifty is among them

/**
 * LCP, INP, CLS, FCP and TTFB of this page, by the entries of the Performance API. Seconds, from when a person saw
 * the page begin: a prerendered one begins at its activation. Source: web-vitals 5, whose numbers these are but for
 * pages that the back button brings again, which are not measured.
 *
 * @returns {{ take: () => object[], stop: () => void }} `take`: once, when the page is hidden for the first time
 */
export function watchVitals(view, labels) {
  const begun = view.performance.getEntriesByType("navigation")[0]?.activationStart ?? 0;
  const since = (time) => Math.max(0, time - begun) / 1_000;
  const found = new Map();
  const set = (name, value, more) => found.set(name, { name, value, ...more });
  if (view.PerformanceObserver?.supportedEntryTypes?.includes("layout-shift")) set("CLS", 0);
  const shifts = shiftsOf((value) => set("CLS", value));
  const interactions = interactionsOf(view, (value) => set("INP", value / 1_000));
  const stops = [
    observe(view, "largest-contentful-paint", ({ startTime, element }) => set("LCP", since(startTime), labels.first(element))),
    observe(view, "paint", ({ name, startTime }) => name === "first-contentful-paint" && set("FCP", since(startTime), labels.first())),
    observe(view, "navigation", ({ responseStart }) => responseStart > 0 && set("TTFB", since(responseStart), labels.first())),
    observe(view, "layout-shift", shifts),
    observe(view, "event", interactions, { durationThreshold: 16 }),
    observe(view, "first-input", interactions), // also where it was shorter than that
  ];
  const stop = () => stops.forEach((one) => one());
  return {
    stop,
    take() {
      stop();
      const reports = [...found.values()].map((report) => report.state ? report : { ...labels.page(), ...report });
      found.clear();
      return reports;
    },
  };
}

/** The largest sum of shifts within a window. What follows an input is expected and does not count. */
function shiftsOf(tell) {
  let [worst, sum, first, last] = [0, 0, 0, 0];
  return ({ value, startTime, hadRecentInput }) => {
    if (hadRecentInput) return;
    const isSame = sum > 0 && startTime - last < GAP_MS && startTime - first < WINDOW_MS;
    [sum, first, last] = isSame ? [sum + value, first, startTime] : [value, startTime, startTime];
    if (sum > worst) tell((worst = sum));
  };
}

/** The longest interaction; of more than fifty, the longest but one in fifty. */
function interactionsOf(view, tell) {
  const longest = new Map(); // interaction -> ms
  let count = 0;
  return ({ interactionId, duration }) => {
    if (!interactionId) return;
    if (!longest.has(interactionId)) count += 1;
    longest.set(interactionId, Math.max(duration, longest.get(interactionId) ?? 0));
    const sorted = [...longest].sort(([, a], [, b]) => b - a);
    for (const [id] of sorted.splice(LONGEST)) longest.delete(id);
    const skipped = Math.floor((view.performance.interactionCount ?? count) / 50);
    tell(sorted[Math.min(skipped, sorted.length - 1)][1]);
  };
}

/** Where a browser has no such entries, nothing is said of them. */
function observe(view, type, take, options) {
  if (!view.PerformanceObserver?.supportedEntryTypes?.includes(type)) return () => {};
  const observer = new view.PerformanceObserver((list) => list.getEntries().forEach(take));
  observer.observe({ type, buffered: true, ...options });
  return () => {
    observer.takeRecords().forEach(take);
    observer.disconnect();
  };
}
