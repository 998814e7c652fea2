/** A browser without a screen: cookies, localStorage, locks and events as its tabs share them. No slots. */
export class FakeBrowser {
  cookies = new Map(); // script-visible and HttpOnly alike: name -> { value, httpOnly }
  storage = new Map();
  locks = new Map();

  /** `host`: whether it takes `__Host-` cookies. `locks`, `storage`: whether it has them. `keeps`: a server's cookies. */
  constructor({ host = true, locks = true, storage = true, cookies = true, keeps = true, secure = true } = {}) {
    const has = { hasLocks: locks, hasStorage: storage, hasCookies: cookies };
    Object.assign(this, { takesHost: host, keepsServers: keeps, isSecure: secure, ...has });
  }

  /** A page of it: what `Consent` takes as `root` and `fetcher`. */
  tab(pop) {
    const view = Object.assign(new EventTarget(), { location: { hostname: "shop.example", origin: "https://shop.example" } });
    const document = Object.assign(new EventTarget(), { defaultView: view, hidden: false, querySelectorAll: () => [] });
    Object.defineProperty(document, "cookie", { get: () => this.#script(), set: (text) => this.#set(text, false) });
    document.location = view.location;
    view.isSecureContext = this.isSecure;
    Object.assign(view, { document, navigator: this.hasLocks ? { locks: { request: (n, w) => this.#lock(n, w) } } : {} });
    Object.defineProperty(view, "localStorage", { get: () => this.#localStorage() });
    return { root: document, fetcher: (url, options) => this.#fetch(pop, url, options), wait: async () => {} };
  }

  #script() {
    return [...this.cookies].filter(([, { httpOnly }]) => !httpOnly).map(([name, { value }]) => `${name}=${value}`).join("; ");
  }

  #set(text, byServer) {
    const [pair, ...attributes] = text.split(/; */);
    const [name, value] = pair.split(/=(.*)/s);
    if (byServer ? !this.keepsServers : !this.hasCookies) return;
    if (name.startsWith("__Host-") && !(this.takesHost && attributes.includes("Secure"))) return;
    if (attributes.includes("Max-Age=0")) this.cookies.delete(name);
    else this.cookies.set(name, { value, httpOnly: attributes.includes("HttpOnly") });
  }

  #localStorage() {
    if (!this.hasStorage) throw new Error("SecurityError");
    return {
      getItem: (key) => this.storage.get(key) ?? null,
      setItem: (key, value) => void this.storage.set(key, value),
      removeItem: (key) => void this.storage.delete(key),
    };
  }

  #lock(name, work) {
    const result = (this.locks.get(name) ?? Promise.resolve()).then(work);
    this.locks.set(name, result.catch(() => {}));
    return result;
  }

  async #fetch(pop, url, options) {
    const cookie = [...this.cookies].map(([name, { value }]) => `${name}=${value}`).join("; ");
    const answer = await fetch(pop.url + url, { ...options, headers: { ...options.headers, cookie } });
    for (const text of answer.headers.getSetCookie()) this.#set(text, true);
    return answer;
  }
}
