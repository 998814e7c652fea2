/**
 * "Why am I seeing this?": a drawer over the SDK's `explain`. Elements are made one by one; no markup is parsed.
 *
 *   offerWhy(consent)       // every <button data-why="home-hero"> opens the drawer about that slot
 */
import { explain } from "/sdk/why.js";
import { wordsOf } from "/why-words.js";

let said = null;

/** `language`: of the drawer, as the panel's. */
export function offerWhy(consent, language) {
  const words = wordsOf(language);
  const drawer = make("dialog", { className: "drawer", lang: words.language });
  drawer.dir = words.language === "ar" ? "rtl" : "ltr";
  drawer.setAttribute("aria-labelledby", "why-title");
  drawer.addEventListener("click", ({ target }) => target === drawer && drawer.close());
  document.body.append(drawer);
  for (const button of document.querySelectorAll("[data-why]")) {
    button.textContent = words.ask;
    button.lang = words.language;
    button.addEventListener("click", () => open(drawer, button.dataset.why, consent, words));
  }
}

async function open(drawer, slot, consent, words) {
  const image = document.querySelector(`img[data-consent-slot="${slot}"]`);
  const close = make("button", { type: "button", className: "close", textContent: words.close });
  close.addEventListener("click", () => drawer.close());
  const body = make("div", { className: "facts", ariaBusy: "true" });
  drawer.replaceChildren(make("header", {}, make("h2", { id: "why-title", textContent: words.ask }), close), body);
  drawer.showModal();
  const turn = (said = {});
  try {
    const why = await explain(image);
    if (turn === said) body.replaceChildren(...told(why, image, consent.state, words));
  } catch (error) {
    body.replaceChildren(make("p", { textContent: `${words.failed} (${error.code ?? error.message})` }));
  }
  body.ariaBusy = "false";
}

function told(why, image, state, words) {
  const { decision, receipt } = why;
  const kind = receipt ? (receipt.input.signals.experiment ? "arm" : decision.reason) : "default";
  const lead = make("p", { className: "why-lead", textContent: words.kinds[kind] });
  const text = make("p", { className: "said", lang: "en" }, make("bdi", { textContent: `“${decision.copy}”` }));
  if (!receipt) return [lead, text, facts(defaultFacts(why.code, state, words)), choose(words)];
  const chain = make("section", {}, make("h3", { textContent: words.receipt }), checks(why, words), keep(why, words));
  return [lead, text, facts(decidedFacts(receipt, state, words)), chain, choose(words)];
}

function defaultFacts(reason, { jurisdiction }, words) {
  return [
    [words.signals, words.nothing],
    [words.reason, make("span", {}, words.reasons[reason] ?? "", " ", code(reason ?? "–"))],
    [words.law, jurisdiction ?? "ZZ"],
  ];
}

function decidedFacts(receipt, { reasons }, words) {
  const left = Math.max(0, receipt.token_exp - Math.floor(Date.now() / 1000));
  const rule = reasons?.[receipt.category];
  return [
    [words.signals, signals(receipt.input.signals, words)],
    [words.category, words.categories[receipt.category]],
    [words.law, make("span", {}, `${receipt.jurisdiction} · `, code(rule ?? "–"))],
    [words.policy, digest(receipt.policy_hash)],
    [words.component, digest(receipt.component)],
    [words.pop, `${receipt.iss.split("/").at(-1)}, ${new Date(receipt.at * 1000).toLocaleTimeString(words.language)}`],
    [words.token, words.seconds(left)],
  ];
}

function signals({ page, history, experiment }, words) {
  const lines = [];
  if (page) lines.push([words.page, [page.path, page.section, ...page.tags].filter(Boolean).join(" · ")]);
  if (experiment) lines.push([words.experiment, `${experiment.experiment} · ${experiment.arm}`]);
  for (const { kind, item, days_ago: days } of history ?? []) lines.push([words.did[kind], `${item} (${words.days(days)})`]);
  if (history?.length === 0) lines.push([words.history, words.nothing]);
  return make("ul", {}, ...lines.map(([name, value]) => make("li", {}, `${name}: `, make("bdi", { textContent: value }))));
}

function checks({ checks: found, trust }, words) {
  const items = found.map(([name, holds]) => {
    const verdict = holds === null ? "unknown" : holds ? "holds" : "fails";
    const item = make("li", { className: verdict }, make("b", { textContent: words.verdicts[verdict] }), ` ${words.checks[name]}`);
    item.dataset.check = name;
    return item;
  });
  const file = trust ? [make("p", { className: "fine" }, `${words.trust} `, digest(`sha256:${trust}`))] : [];
  return make("div", {}, make("ul", { className: "checks" }, ...items), ...file);
}

/** What `edge evidence replay` takes. */
function keep({ given }, words) {
  const link = make("a", { textContent: words.keep, download: "why.json" });
  link.href = URL.createObjectURL(new Blob([JSON.stringify(given)], { type: "application/json" }));
  return link;
}

function choose(words) {
  const link = make("a", { href: "#privacy", className: "choose", textContent: words.choose });
  link.addEventListener("click", () => link.closest("dialog").close());
  return link;
}

function facts(rows) {
  const parts = rows.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", {}, value)));
  return make("dl", {}, ...parts);
}

function digest(text) {
  return make("code", { textContent: `${text.slice(7, 19)}…`, title: text, dir: "ltr" });
}

function code(text) {
  return make("code", { textContent: text, dir: "ltr" });
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
