import { lead } from "./leader.js";

/**
 * Call `onChange` whenever the POP says that this visitor's consent changed, and whenever something may have been
 * missed: the stream reconnected, a hidden page is shown again. One page of the browser has the stream; the others
 * hear it from there, by `onChange` telling them. A hidden page hangs up, so that the back/forward cache may keep it.
 *
 * Whose changes a stream tells is settled when it opens: after a grant, `reopen`.
 *
 * @returns {{ stop: () => void, reopen: () => void }}
 */
export function listen(url, onChange, view = globalThis) {
  const Source = view.EventSource;
  if (!Source || !view.document) return { stop() {}, reopen() {} };
  let source = null;
  let resign = null;
  const connect = () => {
    let opened = false;
    source = new Source(url);
    source.addEventListener("change", onChange);
    source.addEventListener("open", () => {
      if (opened) onChange();
      opened = true;
    });
  };
  const hangUp = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    resign ??= lead(view, (waited) => {
      connect();
      if (waited) onChange();
    });
  };
  const close = () => {
    hangUp();
    resign?.();
    resign = null;
  };
  const onVisibility = () => (view.document.hidden ? close() : open());
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
      hangUp();
      connect();
    },
  };
}
