const NAME = "consent-edge-stream";

/**
 * Be the one page of this browser that does something, while it is shown: browsers give one site six connections.
 * `begin` is told whether the page had to wait for it, and may have missed something. Without Web Locks every page
 * does it for itself.
 *
 * @returns {() => void} give it up
 */
export function lead(view, begin) {
  const locks = view.BroadcastChannel && view.navigator?.locks;
  if (!locks) {
    begin(false);
    return () => {};
  }
  const resigned = new AbortController();
  const reign = (waited) => new Promise((resign) => {
    if (resigned.signal.aborted) return resign();
    resigned.signal.addEventListener("abort", () => resign());
    return begin(waited);
  });
  locks
    .request(NAME, { ifAvailable: true }, (lock) => (lock ? reign(false).then(() => "led") : null))
    .then((done) => done ?? locks.request(NAME, { signal: resigned.signal }, () => reign(true)))
    .catch(() => {}); // given up while it waited
  return () => resigned.abort();
}
