/**
 * Room for a sheet at the foot of the window: the end of the page can be scrolled above it, and what takes the focus
 * is never under it (WCAG 2.4.11).
 *
 * @returns {() => void} to call when the sheet opened, closed, or changed its size
 */
export function makeRoom(host, sheet) {
  const root = host.ownerDocument.documentElement;
  const fit = () => {
    const height = sheet.hidden ? 0 : sheet.getBoundingClientRect().height;
    host.style.blockSize = height ? `${height}px` : "";
    root.style.scrollPaddingBlockEnd = height ? `${height + 8}px` : "";
  };
  new ResizeObserver(fit).observe(sheet);
  host.ownerDocument.addEventListener("focusin", ({ target }) => {
    if (sheet.hidden || host.contains(target)) return;
    const below = target.getBoundingClientRect().bottom + 8 - sheet.getBoundingClientRect().top;
    if (below > 0) scrollBy({ top: below, behavior: "instant" });
  });
  return fit;
}
