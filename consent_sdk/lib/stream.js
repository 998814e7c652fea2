/**
 * Call `onChange` whenever the POP says that this visitor's consent changed, and whenever something may have been
 * missed: the stream reconnected, a hidden page is shown again. A hidden page hangs up, so that idle tabs hold no
 * connection and the back/forward cache may keep them.
 *
 * Whose changes a stream tells is settled when it opens: after a grant, `reopen`.
 *
 * @returns {{ stop: () => void, reopen: () => void }}
 */
export function listen(url, onChange, view = globalThis) {
  const Source = view.EventSource;
  if (!Source || !view.document) return { stop() {}, reopen() {} };
  let source = null;
  const open = () => {
    if (source) return;
    let opened = false;
    source = new Source(url);
    source.addEventListener("change", onChange);
    source.addEventListener("open", () => {
      if (opened) onChange();
      opened = true;
    });
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const onVisibility = () => {
    if (view.document.hidden) return close();
    open();
    return onChange();
  };
  const subscriptions = [
    [view.document, "visibilitychange", onVisibility],
    [view, "pagehide", close],
    [view, "pageshow", open],
  ];
  for (const [target, type, handler] of subscriptions) target.addEventListener(type, handler);
  if (!view.document.hidden) open();
  return {
    stop() {
      close();
      for (const [target, type, handler] of subscriptions) target.removeEventListener(type, handler);
    },
    reopen() {
      if (!source) return;
      close();
      open();
    },
  };
}
