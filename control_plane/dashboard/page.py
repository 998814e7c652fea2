"""The dashboard's HTML: tiles for the promises, then what they are made of. No script is needed to read it."""

from collections.abc import Iterable, Mapping
from html import escape

from control_plane.dashboard.figures import FEWEST, Figure, distribution, groups, hit_ratio, quantile, reasons, total
from control_plane.dashboard.scraping import Samples
from control_plane.dashboard.stored import Stored

LCP_S, INP_S, SWAP_S, SYNC_S, DSAR_S = 2.3, 0.18, 0.5, 60.0, 86_400.0  # the promises; benches/budgets.toml
LATE_S = 120  # a POP whose last report is older is not heard of
VITALS = (
    ("Largest paint", "consent_edge_lcp_seconds", LCP_S),
    ("Interaction", "consent_edge_inp_seconds", INP_S),
    ("Yes to picture", "consent_edge_swap_to_paint_seconds", SWAP_S),
)
GAP = "\N{NO-BREAK SPACE}"  # between a number and its unit
SYNC = "consent_edge_consent_sync_delay_seconds"

Pages = Mapping[str, Samples | None]


def document(content: str) -> str:
    """The whole page around its changing part."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<title>consent-edge</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/dashboard.css">'
        '<script type="module" src="/dashboard.js"></script>'
        '<noscript><meta http-equiv="refresh" content="10"></noscript>'
        f'</head><body><main id="now">{content}</main></body></html>'
    )


def content(stored: Stored, pages: Pages) -> str:
    """Everything that changes."""
    samples = tuple(sample for page in pages.values() for sample in page or ())
    tiles = _tiles(stored, samples)
    parts = (_head(stored, tiles), _section_tiles(tiles), _speed(samples), _places(stored, pages), _rest(stored))
    return "".join(parts)


class Tile:
    """One promise: its figure, its bound, and whether it is kept; None where no figure has come yet."""

    def __init__(self, name: str, figure: Figure, bound_s: float, of: str) -> None:
        self.name, self.figure, self.bound_s, self.of = name, figure, bound_s, of

    @property
    def kept(self) -> bool | None:
        """Whether the figure is within its bound."""
        return None if self.figure.value is None else self.figure.value <= self.bound_s


def _tiles(stored: Stored, samples: Samples) -> list[Tile]:
    page = [Tile(name, _worst(samples, metric), bound, "views") for name, metric, bound in VITALS[:2]]
    sync = quantile(distribution(samples, SYNC), 0.95)
    return [
        *page,
        Tile("A no, everywhere", sync, SYNC_S, "changes"),
        Tile("Requests", _requests(stored), DSAR_S, "closed"),
    ]


def _worst(samples: Samples, metric: str) -> Figure:
    """The slowest P95 among consent states and models that have enough views."""
    found = [quantile(distribution(samples, metric, **labels), 0.95) for labels in _kinds(samples, metric)]
    known = [figure for figure in found if figure.value is not None]
    return max(known, key=lambda figure: figure.value or 0, default=Figure(sum(f.count for f in found), None))


def _kinds(samples: Samples, metric: str) -> list[dict[str, str]]:
    return [{"state": state, "model": model} for state, model in groups(samples, metric, "state", "model")]


def _requests(stored: Stored) -> Figure:
    """The slowest request that was fulfilled: there are too few of them for a quantile."""
    return Figure(len(stored.closed_s), float(stored.closed_s[-1]) if stored.closed_s else None)


def _head(stored: Stored, tiles: Iterable[Tile]) -> str:
    broken = [tile.name for tile in tiles if tile.kept is False]
    word = f"Not kept: {', '.join(broken)}" if broken else "Every promise that has figures is kept"
    mood = "bad" if broken else "good"
    return (
        f'<header><h1>consent-edge</h1><p class="{mood}">{_mark(not broken)}{escape(word)}</p>'
        f'<p class="quiet">policy {_short(stored.policy)}</p></header>'
    )


def _section_tiles(tiles: Iterable[Tile]) -> str:
    return f'<section class="tiles" aria-label="Promises">{"".join(map(_tile, tiles))}</section>'


def _tile(tile: Tile) -> str:
    kind = {True: "good", False: "bad", None: "unknown"}[tile.kept]
    value = (
        ("not enough yet" if tile.figure.count else "nothing yet")
        if tile.figure.value is None
        else seconds(tile.figure.value)
    )
    note = "slowest" if tile.name == "Requests" else "P95"
    return (
        f'<article class="tile {kind}"><h2>{escape(tile.name)}</h2><p class="figure">{value}</p>'
        f'<p class="quiet">{note}, at most {seconds(tile.bound_s)} · {tile.figure.count} {tile.of}</p></article>'
    )


def _speed(samples: Samples) -> str:
    rows = "".join(_metric(name, metric, bound, samples) for name, metric, bound in VITALS)
    note = "P95 since each POP began; the line is the promise."
    title = "How fast pages are, by consent and model"
    return f'<section class="card speed"><h2>{title}</h2>{rows}<p class="quiet">{note}</p></section>'


def _metric(name: str, metric: str, bound: float, samples: Samples) -> str:
    kinds = _kinds(samples, metric)
    found = [(kind, quantile(distribution(samples, metric, **kind), 0.95)) for kind in kinds]
    rows = "".join(_bar(_named(kind), figure, bound) for kind, figure in found)
    bars = rows or '<li class="quiet">No page has reported yet</li>'
    return f"<h3>{name} <small>at most {seconds(bound)}</small></h3><ul>{bars}</ul>"


def _named(kind: Mapping[str, str]) -> str:
    model = kind["model"]
    return escape(kind["state"]) + (f" <code>{escape(model)}</code>" if model not in ("", "none") else "")


def _bar(name: str, figure: Figure, bound: float) -> str:
    """A bar whose promise stands at two thirds of its width."""
    if figure.value is None:
        return f'<li><span>{name}</span><span class="quiet">{figure.count} of {FEWEST} views</span></li>'
    kind = "good" if figure.value <= bound else "bad"
    drawing = _drawing(figure.value / (1.5 * bound), kind, '<rect class="line" x="66.4" width="0.6" height="8"/>')
    return f"<li><span>{name}</span>{drawing}<b>{seconds(figure.value)}</b></li>"


def _drawing(part: float, kind: str, line: str = "") -> str:
    return (
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="8"/>'
        f'<rect class="{kind}" width="{min(100.0, 100 * part):.1f}" height="8"/>{line}</svg>'
    )


def _places(stored: Stored, pages: Pages) -> str:
    names = sorted({*stored.pops, *pages})
    cards = "".join(_place(name, stored, pages.get(name)) for name in names)
    return f'<section class="places" aria-label="POPs">{cards or "<p>No POP has reported yet</p>"}</section>'


def _place(name: str, stored: Stored, samples: Samples | None) -> str:
    report = stored.pops.get(name)
    wrong = _wrong(stored, report, samples)
    rows = [*_reported(report), *(_counted(samples) if samples else [("figures", "its page does not answer")])]
    items = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows)
    kind = "bad" if wrong else "good"
    said = ", ".join(wrong) or "well"
    state = f'<small class="{kind}">{_mark(not wrong)}{escape(said)}</small>'
    return f'<article class="card"><h2>{escape(name)} {state}</h2><dl>{items}</dl></article>'


def _wrong(stored: Stored, report: Mapping[str, object] | None, samples: Samples | None) -> list[str]:
    if report is None:
        return ["never reported"]
    age = stored.now - int(str(report["reported_at"]))
    late = [f"silent for {seconds(age)}"] if age > LATE_S else []
    return [*late, *([] if report["current"] else ["older policy"]), *reasons(samples or ())]


def _reported(report: Mapping[str, object] | None) -> list[tuple[str, str]]:
    if report is None:
        return []
    releases = report["releases"] if isinstance(report["releases"], dict) else {}
    named = ", ".join(sorted({_short(str(release)) for release in releases.values()})) or "built in"
    return [
        ("model", named),
        ("log", f"{report['behind']} behind"),
        ("waiting no", _waits(int(str(report["outbox_oldest_s"])))),
    ]


def _waits(oldest_s: int) -> str:
    return f"the oldest for {seconds(oldest_s)}" if oldest_s else "none"


def _counted(samples: Samples) -> list[tuple[str, str]]:
    delay = quantile(distribution(samples, SYNC), 0.95)
    caches = (("pictures", "asset_cache"), ("decisions", "decision_memo"), ("tokens", "token_cache"))
    hits = " · ".join(f"{name} {_percent(hit_ratio(samples, cache))}" for name, cache in caches)
    enforced = f"not enough yet ({delay.count})" if delay.value is None else f"{seconds(delay.value)} P95"
    return [
        ("no enforced", enforced),
        ("from memory", hits),
        ("pages open", f"{total(samples, 'consent_edge_streams'):.0f}"),
    ]


def _percent(figure: Figure) -> str:
    return "–" if figure.value is None else f"{100 * figure.value:.0f}{GAP}%"


def _rest(stored: Stored) -> str:
    cards = f"{_rights(stored)}{_learning(stored)}{_proof(stored)}"
    return f'<section class="rest" aria-label="Rights, learning, proof">{cards}</section>'


def _rights(stored: Stored) -> str:
    oldest = f", the oldest for {seconds(stored.oldest_open_s)}" if stored.open_requests else ""
    late = sum(took > DSAR_S for took in stored.closed_s)
    return _card(
        "People's requests",
        f"{stored.open_requests} open{oldest}",
        f"{len(stored.closed_s)} closed, {late} after 24 h",
    )


def _learning(stored: Stored) -> str:
    """Click rates come from noised weeks alone; raw counts stay at their POP."""
    bars = "".join(_budget(place, part) for place, part in sorted(stored.budget_spent.items()))
    spent = f"<ul>{bars}</ul>" if bars else "<p>Nothing spent</p>"
    rates = "Click rate per release: not enough yet"
    return f'<article class="card"><h2>Privacy budget</h2>{spent}<p class="quiet">{rates}</p></article>'


def _budget(place: str, part: float) -> str:
    drawing = _drawing(part, "bad" if part > 0.8 else "good")
    return f"<li><span>{escape(place)}</span>{drawing}<b>{100 * max(0.0, 1 - part):.0f}{GAP}% left</b></li>"


def _proof(stored: Stored) -> str:
    waiting = stored.ledger_size - stored.ledger_published
    witnessed = "witnessed" if not stored.unwitnessed_s else f"unwitnessed for {seconds(stored.unwitnessed_s)}"
    return _card("Ledger", f"{stored.ledger_size} entries, {witnessed}", f"{waiting} wait for the next checkpoint")


def _card(name: str, first: str, second: str) -> str:
    return f'<article class="card"><h2>{name}</h2><p>{escape(first)}</p><p class="quiet">{escape(second)}</p></article>'


def _mark(good: bool) -> str:
    return f'<span aria-hidden="true">{"✓" if good else "!"}</span> '


def _short(digest: str) -> str:
    return escape(digest.removeprefix("sha256:")[:12]) or "–"


def seconds(value: float) -> str:
    """A duration in the unit that a person would say."""
    if value < 1:
        return f"{1_000 * value:.0f}{GAP}ms"
    for unit, length in (("s", 60), ("min", 60), ("h", 24)):
        if value < 2 * length:
            return f"{value:.2g}{GAP}{unit}" if value < 10 else f"{value:.0f}{GAP}{unit}"
        value /= length
    return f"{value:.0f}{GAP}days"
