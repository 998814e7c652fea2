import { CATEGORIES } from "../lib/categories.js";
import { days, fill } from "./words.js";

const RETENTION_S = { contextual: 0, behavioral: 604_800, experimental: 1_209_600 }; // where no record says otherwise

/** The panel's elements, made one by one: no markup is parsed, so Trusted Types have nothing to refuse. */
export function build(words, language, id) {
  const switches = CATEGORIES.map((name) => [name, make("input", { type: "checkbox", name, role: "switch" })]);
  const view = {
    inputs: Object.fromEntries(switches),
    kept: Object.fromEntries(CATEGORIES.map((name) => [name, make("span")])),
    reject: make("button", { type: "button", className: "consent-answer", textContent: words.reject }),
    accept: make("button", { type: "button", className: "consent-answer", textContent: words.accept }),
    close: make("button", { type: "button", textContent: words.close }),
    launcher: make("button", { type: "button", className: "consent-launcher", textContent: words.open, hidden: true }),
    receipt: make("a", { className: "consent-link", textContent: words.receipt, download: "consent-receipt.jwt", hidden: true }),
    output: make("output"),
    notice: make("details", { hidden: true }, make("summary", { textContent: words.notice })),
  };
  const labels = switches.map(([name, input]) => make("label", {}, input, ...purpose(name, words, view.kept[name], input, id)));
  view.actions = make("div", { className: "consent-actions consent-dock" }, view.reject, view.accept, view.close, view.receipt);
  const title = make("h2", { id: `${id}-title`, textContent: words.title });
  const heading = make("div", {}, title, make("p", { textContent: words.intro }));
  const fieldset = make("fieldset", { ariaLabel: words.title }, ...labels);
  const body = make("div", { className: "consent-body" }, heading, fieldset, view.output, view.notice, view.actions);
  view.sheet = make("section", { className: "consent-sheet", tabIndex: -1, lang: language, dir: "auto", hidden: true }, body);
  view.sheet.dir = view.launcher.dir = language === "ar" ? "rtl" : "ltr";
  view.launcher.lang = language;
  view.sheet.setAttribute("aria-labelledby", title.id);
  return view;
}

/** A purpose: its name, what for, how long. The switch is named by the first and described by the rest. */
function purpose(name, words, kept, input, id) {
  const [title, text] = words[name];
  const small = make("small", { id: `${id}-${name}` }, `${text} `, kept);
  input.setAttribute("aria-describedby", small.id);
  input.setAttribute("aria-label", title);
  return [make("b", { textContent: title }), small];
}

/** What holds, into the elements. */
export function show(view, state, words, language) {
  for (const name of CATEGORIES) {
    const input = view.inputs[name];
    if (input.getAttribute("aria-busy") !== "true") input.checked = state.choices.includes(name);
    const off = state.choices.includes(name) && !state.categories.includes(name);
    const life = state.retention?.[name] ?? RETENTION_S[name];
    const kept = life > 0 ? fill(words.kept, { time: days(life, language) }) : words.unkept;
    view.kept[name].textContent = off ? `${kept} (${words.off})` : kept;
  }
  view.receipt.hidden = !state.receipt;
  say(view, summary(state, words));
}

export function say(view, text, bad = false) {
  view.output.textContent = text;
  view.output.classList.toggle("bad", bad);
}

function summary(state, words) {
  if (!state.known) return words.unknown;
  const list = state.categories.map((name) => words[name][0]).join(", ") || words.nothing;
  const said = [fill(words.effect, { list })];
  if (state.jurisdiction) said.push(fill(words.law, { law: state.jurisdiction }));
  if (state.gpc_honoured) said.push(words.gpc);
  if (state.pending) said.push(words.pending);
  return said.join(" ");
}

/** The notice's text: its first line is a heading, blank lines part paragraphs. */
export function showNotice(view, { text, language }) {
  const [first, ...rest] = text.replaceAll("`", "").split(/\n{2,}/).map((part) => part.trim()).filter(Boolean);
  const heading = first.startsWith("# ") ? first.slice(2) : null;
  const paragraphs = heading === null ? [first, ...rest] : rest;
  const summaryText = view.notice.firstChild;
  view.notice.replaceChildren(summaryText, ...paragraphs.map((part) => make("p", { textContent: part, lang: language ?? "", dir: "auto" })));
  if (heading) Object.assign(summaryText, { textContent: heading, lang: language ?? "" });
  view.notice.hidden = false;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (properties.role) element.setAttribute("role", properties.role);
  element.append(...children);
  return element;
}
