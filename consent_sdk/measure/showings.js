const PART = 0.5; // of the picture in view,
const SEEN_MS = 1_000; // for so long: the MRC's and IAB's viewable impression

/** Report each slot that is seen, once for what it shows, and each click on one. A link around it counts as it. */
export function watchShowings(root, labels, report) {
  const view = root.defaultView;
  const said = new WeakMap(); // element -> what it showed when it was reported
  const timers = new Map();
  const isNew = (image) => said.get(image) !== shown(image);
  const see = (image) => {
    timers.delete(image);
    if (root.hidden || !isNew(image)) return;
    said.set(image, shown(image));
    report({ name: "impression", ...labels.slot(image) });
  };
  const observer = new view.IntersectionObserver((entries) => {
    for (const { target, intersectionRatio } of entries) {
      clearTimeout(timers.get(target));
      timers.delete(target);
      if (intersectionRatio >= PART) timers.set(target, setTimeout(see, SEEN_MS, target));
    }
  }, { threshold: PART });
  const look = (image) => {
    observer.unobserve(image);
    observer.observe(image); // the observer tells of each anew
  };
  const slots = () => root.querySelectorAll("img[data-consent-slot]");
  slots().forEach(look);
  const added = new view.MutationObserver(() => slots().forEach((image) => said.has(image) || timers.has(image) || look(image)));
  added.observe(root, { childList: true, subtree: true });
  const swapped = ({ target }) => isNew(target) && look(target);
  const clicked = ({ target }) => {
    const image = target.closest?.("a, button, img")?.querySelector(":scope img[data-consent-slot]")
      ?? target.closest?.("img[data-consent-slot]");
    if (image) report({ name: "click", ...labels.slot(image) });
  };
  root.addEventListener("consent-swap", swapped);
  root.addEventListener("click", clicked);
  return () => {
    observer.disconnect();
    added.disconnect();
    timers.forEach(clearTimeout);
    root.removeEventListener("consent-swap", swapped);
    root.removeEventListener("click", clicked);
  };
}

function shown({ dataset }) {
  return `${dataset.consentSlot} ${dataset.consentCategory ?? "default"} ${dataset.consentAsset ?? ""}`;
}
