/**
 * The panel's look. A page sets the custom properties that begin with `--consent-`; dark follows the page's
 * `color-scheme`. Logical properties throughout: right-to-left needs no second sheet.
 */
export const STYLE = `
consent-panel {
  --ink: var(--consent-ink, light-dark(#14212b, #eef1f3));
  --paper: var(--consent-paper, light-dark(#fff, #182028));
  --line: var(--consent-line, light-dark(#d5d9dc, #3a4650));
  --muted: var(--consent-muted, light-dark(#4e5a63, #b3bec6));
  --accent: var(--consent-accent, light-dark(#0b6e69, #57c4bc));
  --on-accent: var(--consent-on-accent, light-dark(#fff, #0b1a1c));
  --focus: var(--consent-focus, light-dark(#b3470b, #ffb86b));
  --bad: var(--consent-bad, light-dark(#9d2a1f, #ff9d91));
  display: block; color: var(--ink); font: var(--consent-font, 0.9375rem/1.45 system-ui, sans-serif);
}
consent-panel * { box-sizing: border-box; }
consent-panel [hidden] { display: none !important; }
consent-panel .consent-sheet {
  position: fixed; inset: auto 0 0; z-index: 2147483000; max-block-size: min(72dvh, 40rem); overflow: auto;
  overscroll-behavior: contain; scroll-padding-block-end: 5.5rem; background: var(--paper); border-block-start: 1px solid var(--line);
  box-shadow: 0 -0.5rem 2rem rgb(0 0 0 / 14%); outline-offset: -3px;
}
consent-panel .consent-body {
  display: grid; gap: 0.75rem 2rem; max-inline-size: 75rem; margin-inline: auto;
  padding: 1rem clamp(1rem, 3vw, 1.5rem);
}
consent-panel h2 { margin: 0; font-size: 1.125rem; line-height: 1.25; text-wrap: balance; }
consent-panel h2 + p { margin-block-start: 0.25rem; }
consent-panel p { margin: 0; color: var(--muted); max-inline-size: 70ch; }
consent-panel fieldset { display: grid; gap: 0.75rem 1.5rem; margin: 0; padding: 0; border: 0; min-inline-size: 0; }
consent-panel label { display: grid; grid-template-columns: auto 1fr; align-content: start; gap: 0 0.75rem; cursor: pointer; }
consent-panel label b { font-weight: 600; }
consent-panel label small { grid-column: 2; color: var(--muted); font-size: 0.875rem; }
consent-panel input {
  appearance: none; position: relative; inline-size: 2.5rem; block-size: 1.5rem; margin: 0; border-radius: 1rem;
  background: var(--muted); cursor: pointer; transition: background 0.12s;
}
consent-panel input::after {
  content: ""; position: absolute; inset-block: 0.25rem; inset-inline-start: 0.25rem; inline-size: 1rem;
  border-radius: 50%; background: var(--paper); transition: inset-inline-start 0.12s;
}
consent-panel input:checked { background: var(--accent); }
consent-panel input:checked::after { inset-inline-start: 1.25rem; }
consent-panel input[aria-busy="true"] { opacity: 0.6; }
consent-panel .consent-actions { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
consent-panel .consent-dock {
  position: sticky; inset-block-end: 0; background: var(--paper); margin-block-end: -1rem; padding-block: 0.25rem 1rem;
  box-shadow: 0 -0.75rem 0.75rem var(--paper);
}
consent-panel button, consent-panel .consent-link {
  min-block-size: 2.75rem; padding: 0.5rem 1.125rem; font: inherit; border-radius: 0.375rem; cursor: pointer;
  color: var(--accent); background: none; border: 1px solid transparent; text-align: center;
}
consent-panel .consent-answer {
  flex: 1 1 7rem; max-inline-size: 16rem; padding-inline: 0.5rem; font-weight: 600; color: var(--on-accent); background: var(--accent);
  border-color: var(--accent);
}
consent-panel .consent-link { padding-inline: 0; text-decoration: underline; text-underline-offset: 0.2em; }
consent-panel :is(button, input, summary, a):focus-visible, consent-panel .consent-sheet:focus-visible {
  outline: 3px solid var(--focus); outline-offset: 2px;
}
consent-panel .consent-launcher {
  position: fixed; inset-block-end: 0.75rem; inset-inline-start: 0.75rem; z-index: 2147483000; padding-inline: 1rem;
  color: var(--ink); background: var(--paper); border-color: var(--line); box-shadow: 0 0.25rem 1rem rgb(0 0 0 / 14%);
}
consent-panel details { border-block-start: 1px solid var(--line); padding-block-start: 0.5rem; }
consent-panel summary { cursor: pointer; min-block-size: 1.75rem; font-weight: 600; }
consent-panel details p + p { margin-block-start: 0.5rem; }
consent-panel output { display: block; color: var(--muted); font-size: 0.875rem; min-block-size: 1.45em; line-height: 1.45; }
consent-panel output.bad { color: var(--bad); }
@media (max-width: 40rem) and (min-height: 30rem) { consent-panel .consent-sheet { max-block-size: max(43dvh, 17rem); } }
@media (min-width: 48rem) { consent-panel fieldset { grid-template-columns: repeat(3, 1fr); } }
@media (min-width: 64rem) {
  consent-panel .consent-body { grid-template-columns: 19rem 1fr; align-content: start; }
  consent-panel .consent-body > :is(fieldset, output, details) { grid-column: 2; }
  consent-panel .consent-dock { grid-area: 2 / 1 / span 2; align-self: start; position: static; padding-block: 0; margin: 0; box-shadow: none; }
}
@media (forced-colors: active) {
  consent-panel input { appearance: auto; inline-size: 1.5rem; }
  consent-panel input::after { content: none; }
  consent-panel .consent-answer { border-color: ButtonText; }
  consent-panel .consent-launcher { border-color: ButtonText; }
}
@media (prefers-reduced-motion: reduce) { consent-panel * { transition: none !important; } }
`;

/** Once per document. A policy that forbids styles in pages does not touch a constructed sheet. */
export function dress(document) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  if (!dressed.has(document)) document.adoptedStyleSheets.push(sheet);
  dressed.add(document);
}

const dressed = new WeakSet();
