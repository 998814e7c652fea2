/**
 * A site for a real browser, beside the fake POP: one page of each kind, pictures of one colour. `node shop.js` prints
 * its address; `POST /faults` puts a fault on the next request, `GET /asked` tells what came, `/reports` keeps what pages
 * report.
 */
import { readFile } from "node:fs/promises";
import { crc32, deflateSync } from "node:zlib";
import { FakePop } from "./pop.js";

const COLOURS = { default: [120, 120, 120], contextual: [200, 30, 30], behavioral: [30, 160, 30], experimental: [30, 30, 200] };
const SLOTS = { "home-hero": "contextual", "member-banner": "behavioral", "promo-tile": "experimental" };
const SDK = new URL("../", import.meta.url);

const image = (slot, more = "") => `<img data-consent-slot="${slot}" data-consent-context="path=/" width="240" height="135"
  src="/v1/images/${slot}?path=/" alt="first words of ${slot}" ${more}>`;
const PAGES = {
  "/": image("home-hero") + image("member-banner") + image("promo-tile") + '<p data-consent-copy="home-hero">words</p>',
  "/picture": `<picture><source type="image/png" media="(min-width: 1px)" srcset="/v1/images/home-hero?path=/&w=1">${image("home-hero")}</picture>`,
  "/odd": image("home-hero").replaceAll("path=/", "path=/über uns"),
  "/worker": image("home-hero"),
  "/bare": image("home-hero"),
  "/before": image("home-hero"),
  "/after": image("home-hero"),
  "/measured": `<p>Something to read.</p><a href="#there">${image("home-hero")}</a>`,
  "/panel": `<header><a href="/">Home</a></header>${image("home-hero")}${"<p>Something to read. <a href='#'>A link.</a></p>".repeat(30)}
    <consent-panel id="privacy"></consent-panel><footer><a href="#privacy">Your choices</a></footer>`,
};
const NOTICE = {
  jurisdiction: "EU", language: "en", clause_id: "notice-eu", digest: "sha256:" + "0".repeat(64),
  text: "# Your choice in the European Union\n\nEverything here is off until you switch it on (GDPR Art. 6(1)(a) and 7, ePrivacy Directive Art. 5(3)). You may change your mind at any time, as easily as you agreed, without giving a reason; it does not make unlawful what happened before. You may ask what we hold, have it corrected or deleted, receive a copy, and complain to a supervisory authority.\n\nIf you are younger than 16 we leave everything off, whatever is chosen here.",
};
const OWN = { "/before": "/prerender/before.js", "/after": "/prerender/after.js", "/measured": "/measured.js" }; // pages with a script of their own
const page = (body, path) => `<!doctype html><html lang="${new URL(path, "http://shop").searchParams.get("lang") ?? "en"}">
  <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta charset="utf-8"><title>Shop</title>
  <link rel="icon" href="data:,"><body>${body}${scriptOf(new URL(path, "http://shop").pathname)}</body></html>`;
const scriptOf = (path) => path === "/bare" ? "" : `<script type="module" src="${OWN[path] ?? "/page.js"}"></script>`;
const STRICT = "default-src 'self'; img-src 'self' data: blob:; require-trusted-types-for 'script'; trusted-types 'none'; object-src 'none'; base-uri 'none'";
const SCRIPTS = {
  "/page.js": `import { connect } from "/sdk/consent-edge.js";
    window.errors = [];
    const panel = document.querySelector("consent-panel");
    if (panel) await import("/sdk/panel.js");
    await panel?.ready;
    window.consent = panel ? panel.consent : await connect();
    consent.addEventListener("error", ({ detail }) => errors.push(detail.code));
    document.documentElement.dataset.ready = "true";`,
  "/measured.js": `import { connect } from "/sdk/consent-edge.js";
    import { measure } from "/sdk/measure.js";
    new PerformanceObserver(() => (window.touched = true)).observe({ type: "first-input", buffered: true });
    window.consent = await connect();
    measure(consent);
    document.documentElement.dataset.ready = "true";`,
  "/sw.js": `addEventListener("install", () => skipWaiting());
    addEventListener("activate", (event) => event.waitUntil(clients.claim()));
    addEventListener("fetch", (event) => event.request.method === "GET" && event.respondWith(cached(event.request)));
    async function cached(request) {
      const cache = await caches.open("everything");
      const found = await cache.match(request, { ignoreVary: location.search === "?ignoring" });
      if (found) return found;
      const answer = await fetch(request);
      if (answer.ok && new URL(request.url).pathname.startsWith("/v1/") && !request.url.endsWith("/stream")) await cache.put(request, answer.clone());
      return answer;
    }`,
};

class Shop extends FakePop {
  streams = new Set();
  reports = []; // what pages said of themselves that nobody may look into

  #stream(response) {
    this.streams.add(response);
    response.on("close", () => this.streams.delete(response));
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(": open\n\n");
  }

  async serve({ method, path, body, headers }, response) {
    const { pathname } = new URL(path, "http://shop");
    const send = (type, text, more = {}) => response.writeHead(200, { "Content-Type": type, ...more }).end(text);
    if (pathname === "/faults") return void this.next(body.method, body) ?? send("text/plain", "ok");
    if (pathname === "/reports") return void (body && this.reports.push(body)) ?? send("application/json", JSON.stringify(this.reports));
    if (pathname === "/v1/vitals") return void this.reports.push({ ...body, cookie: headers.cookie ?? null }) ?? response.writeHead(204).end();
    if (pathname === "/asked") return send("application/json", JSON.stringify(this.changes()));
    if (pathname === "/streams") return send("application/json", JSON.stringify(this.streams.size));
    if (pathname === "/tell") return this.streams.forEach((stream) => stream.write("event: change\ndata: x\n\n")) ?? send("text/plain", "ok");
    if (pathname === "/v1/consent/stream") return this.#stream(response);
    if (PAGES[pathname]) return send("text/html", page(PAGES[pathname], path), pathname === "/panel" ? { "Content-Security-Policy": STRICT } : {});
    if (pathname === "/v1/consent/notice") return send("application/json", JSON.stringify(NOTICE));
    if (SCRIPTS[pathname]) return send("text/javascript", SCRIPTS[pathname]);
    if (pathname.startsWith("/prerender/")) return send("text/javascript", await readFile(new URL(`.${pathname}`, import.meta.url)));
    if (pathname.startsWith("/sdk/")) return send("text/javascript", await readFile(new URL(pathname.slice(5), SDK)));
    const [, kind, slot] = pathname.match(/^\/v1\/(slots|images|renditions)\/(.+)$/) ?? [];
    const decision = slot && this.decide(kind === "renditions" ? "" : slot, this.effective({ headers }));
    if (kind === "slots") return send("application/json", JSON.stringify(decision), { "Cache-Control": "private, no-store" });
    if (kind === "renditions") return send("image/png", png(COLOURS[slot]), { "Cache-Control": "public, max-age=600, immutable" });
    if (kind === "images") return send("image/png", png(COLOURS[decision.category]), imageHeaders(decision));
    return super.serve({ method, path }, response);
  }

  decide(request, categories) {
    const own = SLOTS[request.split("?")[0]];
    const category = categories.includes(own) ? own : "default";
    return { category, asset: `${category}-asset`, copy: `words of ${category}`, rendition: { url: `/v1/renditions/${category}` } };
  }
}

function imageHeaders({ category }) {
  const why = category === "default" ? { "Consent-Edge-Code": "not-effective" } : {};
  return { "Cache-Control": "private, no-cache", ETag: `"${category}"`, Vary: "Accept, Cookie", ...why };
}

/** A picture of 16 by 9 pixels of one colour. */
function png(colour) {
  const row = Buffer.from([0, ...Array(16).fill(colour).flat()]);
  const chunk = (type, data) => {
    const named = Buffer.concat([Buffer.from(type), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, check]);
  };
  const head = Buffer.from([0, 0, 0, 16, 0, 0, 0, 9, 8, 2, 0, 0, 0]);
  const parts = [chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(Array(9).fill(row)))), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...parts]);
}

console.log((await Shop.open()).url);
