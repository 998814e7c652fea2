/**
 * Take what was decided for somebody out of the caches of this site's service workers: a cache-first worker would
 * show it again after a "no". The page cannot tell which of a slot's pictures was the default, so all of them go.
 */
const DECIDED = /^\/v1\/(images|renditions|slots|consent)(\/|$)/;

export async function forgetDecided(view, base = "") {
  const caches = cachesOf(view);
  if (!caches) return;
  const names = await caches.keys();
  await Promise.all(names.map((name) => forgetIn(caches, name, view, base)));
}

async function forgetIn(caches, name, view, base) {
  const cache = await caches.open(name);
  const ours = (await cache.keys()).filter(({ url }) => isDecided(new URL(url), view, base));
  await Promise.all(ours.map((request) => cache.delete(request, { ignoreVary: true })));
}

function isDecided({ origin, pathname }, view, base) {
  return origin === view.location.origin && pathname.startsWith(base) && DECIDED.test(pathname.slice(base.length));
}

function cachesOf(view) {
  try {
    return view.caches; // throws in a sandboxed frame
  } catch {
    return null;
  }
}
