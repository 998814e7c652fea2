const MARK = "consent-edge-yes"; // the SDK marks the moment of a yes

/** Report how long it took from a yes to the painted picture, of each slot that changed by it. */
export function watchSwaps(root, labels, report) {
  const view = root.defaultView;
  const shown = new WeakMap(); // element -> category
  root.querySelectorAll("img[data-consent-slot]").forEach((image) => shown.set(image, image.dataset.consentCategory));
  const swapped = ({ target, detail: { category } }) => {
    const isChange = shown.get(target) !== category;
    shown.set(target, category);
    const yes = view.performance.getEntriesByName(MARK, "mark").at(-1);
    if (!yes || !isChange || category === "default") return;
    painted(view, (time) => report({ name: "swap-to-paint", value: (time - yes.startTime) / 1_000, ...labels.slot(target) }));
  };
  root.addEventListener("consent-swap", swapped);
  return () => root.removeEventListener("consent-swap", swapped);
}

/** After the next frame is on the screen, or soon after it. */
function painted(view, then) {
  view.requestAnimationFrame(() => setTimeout(() => then(view.performance.now())));
}
