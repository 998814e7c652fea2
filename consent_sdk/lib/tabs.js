/**
 * Tell this site's other open pages that consent changed, and hear it from them. Nothing is said but that.
 *
 * @returns {{ tell: () => void, stop: () => void }}
 */
export function tabs(onChange, view = globalThis) {
  if (!view.BroadcastChannel) return { tell() {}, stop() {} };
  const channel = new view.BroadcastChannel("consent-edge");
  channel.onmessage = onChange;
  return { tell: () => channel.postMessage("change"), stop: () => channel.close() };
}
