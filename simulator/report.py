"""What a simulation or a measurement came to: one JSON document, one table, and whether the promise was kept."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet.bounds import BOUND_S, quantile_of
from fleet.machine import describe
from simulator.scenario import Event, say_pops
from simulator.virtual.run import Outcome, Second
from simulator.virtual.watch import CLOSED, SHOWING, Pair

MOST_LISTED = 20

Document = dict[str, Any]


def kept(outcome: Outcome) -> bool:
    """Whether nothing was shown that must not be, nothing skipped, nothing lost."""
    stored = outcome.stored
    broken = (outcome.violations, outcome.gaps, outcome.behind, stored.lost, stored.kept, outcome.outbox)
    return not any(broken)


def to_json(outcome: Outcome, took_s: float) -> Document:
    """Everything, for programs. Times are seconds; simulated ones but for `took_s`."""
    scenario, seconds = outcome.scenario, outcome.seconds
    connected = [pair for pair in outcome.pairs if pair.connected]
    return {
        "requests": sum(second.asked for second in seconds),
        "personalised_after_bound": len(outcome.violations),
        "sync_p50_s": quantile(outcome.pairs, 0.50),
        "sync_p99_s": quantile(outcome.pairs, 0.99),
        "sync_max_s": quantile(outcome.pairs, 1.0),
        "availability": availability(seconds),
        "answered": _ratio(sum(s.answered for s in seconds), sum(s.asked for s in seconds)),
        "ok": kept(outcome),
        "bound_s": BOUND_S,
        "pairs": len(outcome.pairs),
        "connected": {
            "pairs": len(connected),
            "sync_p50_s": quantile(connected, 0.50),
            "sync_p99_s": quantile(connected, 0.99),
            "sync_max_s": quantile(connected, 1.0),
        },
        "violations": {
            "by_rule": dict(Counter(violation.rule for violation in outcome.violations)),
            "first": [asdict(violation) for violation in outcome.violations[:MOST_LISTED]],
        },
        "unheard_replays": outcome.unheard,
        "sequence_gaps": [asdict(gap) for gap in outcome.gaps[:MOST_LISTED]],
        "behind": outcome.behind,
        "alarms": {outcome.names[pop - 1]: alarm for pop, alarm in outcome.alarms.items()},
        "history": {"lost": outcome.stored.lost, "kept_after_withdrawal": outcome.stored.kept},
        "outbox_pending": outcome.outbox,
        "untrusted": outcome.refused,
        "entries": outcome.entries,
        "changes": outcome.done,
        "events": [_event(outcome, event) for event in scenario.events],
        "scenario": {
            "pops": scenario.pops, "duration_s": scenario.length, "visitors": scenario.pops * scenario.visitors,
            "lag_s": list(scenario.lag), "loss": scenario.loss, "push": scenario.push,
            "skew_s": scenario.skew, "careless": sorted(scenario.careless), "seed": scenario.seed,
        },
        "took_s": round(took_s, 1),
        "machine": describe(),
    }  # fmt: skip


def to_text(document: Document) -> RenderableType:
    """The same for people: the verdict first, then figures, then what happened to whom."""
    figures = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _figures(document):
        figures.add_row(name, value)
    return Group(_verdict(document), figures, *([_events(document)] if document["events"] else []))


def write(document: Document, directory: Path) -> Path:
    """Keep the document as `simulate.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "simulate.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def quantile(pairs: Sequence[Pair], q: float) -> float | None:
    """The delay that a share `q` of pairs does not exceed (an observed one); None if there are none, or never."""
    return quantile_of([pair.delay for pair in pairs], q)


def availability(seconds: Sequence[Second]) -> float | None:
    """Of the requests that consent and policy allow something for: the share that got something."""
    return _ratio(sum(s.personalised for s in seconds), sum(s.entitled for s in seconds))


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _event(outcome: Outcome, event: Event) -> Document:
    """What an event did to its POP: how long until it closed, and until it was in sync again after the end."""
    document: Document = {"kind": event.kind, "pop": event.pop, "at_s": event.at, "length_s": event.length}
    line = outcome.lines.get(event.pop)
    if line is None:
        return document
    changes = list(line.after(event.at - 0.001))
    closed = next((at for at, state in changes if state == CLOSED), None)
    again = event.end if line.at(event.end) in SHOWING else None
    again = again or next((at for at, state in changes if at >= event.end and state in SHOWING), None)
    document["name"] = outcome.names[event.pop - 1]
    document["closed_after_s"] = None if closed is None else round(closed - event.at, 2)
    document["in_sync_again_after_s"] = None if again is None else round(again - event.end, 2)
    return document


def _verdict(document: Document) -> Text:
    if document["ok"]:
        return Text("kept: nothing was personalised after the bound, no entry was skipped", style="bold green")
    why = [
        f"{document['personalised_after_bound']} personalised after the bound {document['violations']['by_rule']}",
        f"{len(document['sequence_gaps'])} sequence gaps", f"{len(document['behind'])} POPs behind",
        f"{document['history']['lost']} histories lost", f"{document['outbox_pending']} withdrawals not forwarded",
        f"{document['history']['kept_after_withdrawal']} histories kept after withdrawal",
    ]  # fmt: skip
    return Text("broken: " + ", ".join(text for text in why if not text.startswith("0 ")), style="bold red")


def _figures(document: Document) -> list[tuple[str, str]]:
    connected, scenario = document["connected"], document["scenario"]
    figures = [
        ("requests", f"{document['requests']:,} at {scenario['pops']} POPs in {scenario['duration_s']:g} s"),
        ("personalised after the bound", f"{document['personalised_after_bound']}"),
        ("sync delay, every POP", _delays(document, document["pairs"])),
        ("sync delay, connected POPs", _delays(connected, connected["pairs"])),
        ("availability", f"{_percent(document['availability'])} of what consent allows was shown"),
        ("answered", f"{_percent(document['answered'])} of requests met a running POP"),
        ("log", f"{document['entries']} entries, {len(document['sequence_gaps'])} gaps, "
                f"{len(document['behind'])} POPs behind at the end"),
        ("replays that no POP could know of", f"{document['unheard_replays']}"),
        ("seed", f"{scenario['seed']}; took {document['took_s']:g} s"),
    ]  # fmt: skip
    if document["alarms"]:
        figures.append(("alarms", ", ".join(sorted(set(document["alarms"].values()))) + f": {len(document['alarms'])}"))
    return figures


def _delays(of: Document, pairs: int) -> str:
    def seconds(name: str) -> str:
        return "–" if of[name] is None else f"{of[name]:.2f} s"

    return f"p50 {seconds('sync_p50_s')}, p99 {seconds('sync_p99_s')}, max {seconds('sync_max_s')} ({pairs:,} pairs)"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _events(document: Document) -> Table:
    """One row per kind, moment and length; what it did to the POPs from the least to the most."""
    table = Table("event", "POP", "at", "for", "closed after", "in sync again after", box=None, padding=(0, 2, 0, 0))
    alike: dict[tuple[str, float, float], list[Document]] = {}
    for event in document["events"]:
        alike.setdefault((event["kind"], event["at_s"], event["length_s"]), []).append(event)
    for (kind, at, length), events in alike.items():
        pops = say_pops(event["pop"] for event in events) if events[0]["pop"] else "control plane"
        name = f" {events[0]['name']}" if len(events) == 1 and "name" in events[0] else ""
        closed, again = (
            _between(event.get(f"{when}_after_s") for event in events) for when in ("closed", "in_sync_again")
        )
        table.add_row(kind, pops + name, f"{at:g} s", f"{length:g} s", closed, again)
    return table


def _between(seconds: Iterable[float | None]) -> str:
    known = sorted(s for s in seconds if s is not None)
    if not known:
        return "–"
    return f"{known[0]:.1f} s" if known[0] == known[-1] else f"{known[0]:.1f} to {known[-1]:.1f} s"
