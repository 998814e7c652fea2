// Installed before the page's own scripts. Keeps every entry the gate needs on window.__vitals.
(() => {
  const seen = { lcp: [], shifts: [], events: [], elements: [], longtasks: [], clicks: [], errors: [] };
  window.__vitals = seen;
  const describe = (element) =>
    element ? { id: element.id || null, slot: element.dataset?.consentSlot ?? null, tag: element.tagName } : null;
  const watch = (type, options, take) => {
    try {
      new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...options });
    } catch (error) {
      seen.errors.push(`${type}: ${error.message}`);
    }
  };
  watch("largest-contentful-paint", {}, (entry) => {
    seen.lcp.push({ time: entry.startTime, url: entry.url, size: entry.size, element: describe(entry.element) });
  });
  watch("layout-shift", {}, (entry) => {
    const inPanel = (node) => (node?.nodeType === 1 ? node : node?.parentElement)?.closest("consent-panel");
    const ofPage = entry.sources.some(({ node }) => !inPanel(node));
    seen.shifts.push({ time: entry.startTime, value: entry.value, recent: entry.hadRecentInput, ofPage });
  });
  watch("event", { durationThreshold: 16 }, (entry) => {
    if (entry.interactionId) {
      seen.events.push({ id: entry.interactionId, name: entry.name, start: entry.startTime, duration: entry.duration });
    }
  });
  watch("first-input", {}, (entry) => {
    seen.events.push({ id: entry.interactionId, name: entry.name, start: entry.startTime, duration: entry.duration });
  });
  watch("element", {}, (entry) => {
    seen.elements.push({ name: entry.identifier, url: entry.url, time: entry.renderTime || entry.loadTime });
  });
  watch("longtask", {}, (entry) => seen.longtasks.push({ start: entry.startTime, duration: entry.duration }));
  addEventListener("click", (event) => event.isTrusted && seen.clicks.push(event.timeStamp), { capture: true });
})();
