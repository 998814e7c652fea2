"""The dashboard's style sheet and its script: one screen at 1440 by 900, one column on a phone, light and dark."""

STYLE = """
:root {
  --ink: light-dark(#14212b, #eef1f3); --muted: light-dark(#4e5a63, #b3bec6); --paper: light-dark(#fff, #182028);
  --ground: light-dark(#f1f3f4, #0f151a); --line: light-dark(#d5d9dc, #3a4650); --track: light-dark(#e4e8ea, #2b353d);
  --good: light-dark(#0b6e69, #57c4bc); --bad: light-dark(#a8321f, #ff9d91); --mark: light-dark(#14212b, #fff);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 0.9375rem/1.4 system-ui, sans-serif; }
main { display: grid; gap: 1rem; max-inline-size: 88rem; margin-inline: auto;
    padding: 1rem clamp(1rem, 2.5vw, 2rem) 2rem; }
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; }
h1, h2, h3, p, ul, dl, dd { margin: 0; padding: 0; }
h1 { font-size: 1.25rem; letter-spacing: -0.01em; }
h2 { font-size: 0.9375rem; font-weight: 600; }
h3 { font-size: 0.875rem; font-weight: 600; margin-block: 0.75rem 0.25rem; }
small { font-size: 0.8125rem; font-weight: 400; color: var(--muted); }
header .quiet { margin-inline-start: auto; }
.quiet { color: var(--muted); font-size: 0.8125rem; }
p.good, small.good { color: var(--good); }
p.bad, small.bad { color: var(--bad); font-weight: 600; }
.tiles { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.tile, .card { background: var(--paper); border: 1px solid var(--line); border-radius: 0.5rem;
    padding: 0.875rem 1rem; min-inline-size: 0; }
.tile { border-block-start: 4px solid var(--good); }
.tile.bad { border-block-start-color: var(--bad); }
.tile.unknown { border-block-start-color: var(--line); }
.tile h2 { color: var(--muted); font-weight: 500; }
.figure { font-size: 1.75rem; line-height: 1.3; font-weight: 600; letter-spacing: -0.02em;
    font-variant-numeric: tabular-nums; }
.bad .figure { color: var(--bad); }
.unknown .figure { font-size: 1.125rem; line-height: 2.1; color: var(--muted); font-weight: 500; }
ul { list-style: none; display: grid; gap: 0.25rem; }
li { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr 5rem; gap: 0.75rem; align-items: center;
    min-block-size: 1.5rem; }
li b { text-align: end; font-variant-numeric: tabular-nums; font-weight: 600; }
li .quiet { grid-column: 2 / 4; }
code { font-size: 0.75rem; color: var(--muted); overflow-wrap: anywhere; }
svg { display: block; inline-size: 100%; block-size: 0.625rem; border-radius: 0.3125rem; }
rect.track { fill: var(--track); } rect.good { fill: var(--good); } rect.bad { fill: var(--bad); }
    rect.line { fill: var(--mark); }
.speed { display: grid; gap: 0 2rem; } .speed > .quiet { margin-block-start: 0.75rem; }
.places, .rest { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
.card > h2 { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
    margin-block-end: 0.375rem; }
.speed > h2 { margin: 0; }
dl { display: grid; gap: 0.25rem; }
dl div { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0.5rem; }
dt { color: var(--muted); } dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.rest li { grid-template-columns: minmax(5rem, auto) 1fr 5rem; }
@media (max-width: 40rem) {
  .tiles { grid-template-columns: 1fr 1fr; gap: 0.75rem; }
  .figure { font-size: 1.375rem; } .unknown .figure { font-size: 1rem; line-height: 1.8; }
  li { grid-template-columns: 1fr auto; gap: 0.125rem 0.75rem; }
  li svg { grid-row: 2; grid-column: 1 / 3; } li .quiet { grid-column: 2; }
  header .quiet { margin-inline-start: 0; }
}
@media (min-width: 64rem) {
  .speed { grid-template-columns: repeat(3, 1fr); grid-template-rows: auto auto 1fr auto; }
  .speed > h2, .speed > .quiet { grid-column: 1 / -1; }
  .speed > h3 { grid-row: 2; } .speed > ul { grid-row: 3; align-content: start; }
  .speed li { grid-template-columns: 1fr auto; row-gap: 0; margin-block-end: 0.375rem; }
    .speed li svg { grid-row: 2; grid-column: 1 / 3; }
    .speed li .quiet { grid-column: 2; }
}
@media (forced-colors: active) { rect.track { fill: Canvas; } rect.good, rect.bad { fill: Highlight; }
    rect.line { fill: CanvasText; } }
"""

SCRIPT = """
const EVERY_MS = 2_000;
const place = document.getElementById("now");
async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/now", { signal: AbortSignal.timeout(10_000) });
      if (answer.ok) {
        const text = await answer.text();
        const fresh = new DOMParser().parseFromString(text, "text/html").body;
        if (fresh.innerHTML !== place.innerHTML) place.replaceChildren(...fresh.childNodes);
        delete document.documentElement.dataset.stale;
      }
    } catch {
      document.documentElement.dataset.stale = "true";
    }
  }
  setTimeout(look, EVERY_MS);
}
setTimeout(look, EVERY_MS);
"""
