"""What people who changed their mind came to: numbers for programs, a table for people, and the self-test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from simulator.minds.faults import FAULTS, Fault
from simulator.minds.truth import PROMISES, SITUATIONS, Verdict
from simulator.minds.world import APART_S, Minds, play

# Small enough for a test, and every fault shows.
SELF_TEST = Minds(pops=4, browsers=80, changes=200, requests=1_000, restores=1, burst=80)

Document = dict[str, Any]


def to_json(minds: Minds, verdict: Verdict) -> Document:
    """The counters by name, how often each situation occurred, and what was played."""
    return {
        **{name: verdict.broken[name] for name in PROMISES},
        "situations": {name: verdict.seen[name] for name in SITUATIONS},
        "ok": verdict.kept,
        "requests": verdict.requests,
        "changes": verdict.changes,
        "burst_s": verdict.burst_s,
        "examples": verdict.examples,
        "seed": minds.seed,
        "pops": minds.pops,
        "browsers": minds.browsers,
    }


def to_text(document: Document) -> Table:
    """The promises, then how hard it was to keep them."""
    kept = "[bold green]kept[/]" if document["ok"] else "[bold red]broken[/]"
    table = Table(title=f"people who change their mind: {kept}", box=None, padding=(0, 2, 0, 0))
    table.add_column("count", justify="right")
    table.add_column("of")
    for name, meaning in PROMISES.items():
        table.add_row(f"[{'red' if document[name] else 'green'}]{document[name]}[/]", f"{name}: {meaning}")
    for name, count in document["situations"].items():
        table.add_row(f"{count:,}", name.replace("_", " "))
    table.add_row(
        f"{document['requests']:,}", f"requests, {document['changes']:,} clicks of {document['browsers']} browsers"
    )
    table.add_row(f"{document['burst_s']:g} s", "until a burst of withdrawals was in the log")
    return table


@dataclass(frozen=True, slots=True)
class Tried:
    """One fault. `red`: the counters that it turned red; `caught`: one of those that must be is among them."""

    name: str
    says: str
    red: dict[str, int]
    caught: bool


def self_test(
    minds: Minds = SELF_TEST, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Tried]:
    """The rules as they are must stay green; each fault must turn its own counter red, and its run ends there."""
    tried = []
    for number, fault in enumerate((None, *FAULTS)):
        on_progress(number, len(FAULTS) + 1)
        verdict = play(_for(minds, fault), fault=fault)
        red = {name: verdict.broken[name] for name in PROMISES if verdict.broken[name]}
        caught = not red if fault is None else any(name in red for name in fault.caught_by)
        name, says = ("none", "the rules as they are") if fault is None else (fault.name, fault.says)
        tried.append(Tried(name, says, red, caught))
    return tried


def _for(minds: Minds, fault: Fault | None) -> Minds:
    """What a fault is played with.

    A store that is only copied back is copied back last: what people do afterwards would hide what was lost. A fault
    that only a burst shows is played with little before the burst.
    """
    if fault is None:
        return minds
    if fault.caught_by == ("burst_over_s",):
        return replace(minds, restores=0, changes=1, requests=1)
    if fault.copy_back:
        return replace(minds, restores=0, restore_at=(minds.changes * APART_S,))
    return replace(minds, restores=0)


def self_test_table(tried: list[Tried]) -> Table:
    """One row a fault."""
    table = Table("", "fault", "what turned red", box=None, padding=(0, 2, 0, 0))
    for one in tried:
        mark = "[green]as it must[/]" if one.caught else "[bold red]NOT CAUGHT[/]"
        table.add_row(mark, f"{one.name}: {one.says}", ", ".join(f"{name} {count}" for name, count in one.red.items()))
    return table
