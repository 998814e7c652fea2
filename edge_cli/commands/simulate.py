"""`edge simulate`: what a fleet of POPs does with partitions, crashes and clocks that are wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from edge_cli.console import FAILED, JsonOption, err, progress, show

SOME_REQUESTS = 1_000  # per POP, if it is not said
MOST_REQUESTS = 100_000
PLANE = "control-plane@"
OUT, LEARN_OUT = Path("build/simulate"), Path("build/learn")
MOST_WEEKS = 104

Pops = Annotated[int, typer.Option("--pops", min=1, max=1000, help="POPs in one process, on simulated time.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, max=50, help="Real POP processes instead, in real time.")
]
Events = Annotated[int, typer.Option("--events", min=1, help="With --processes: entries to measure.")]
Requests = Annotated[int | None, typer.Option("--requests", min=1, help="In all.")]
Duration = Annotated[str | None, typer.Option("--duration", help="Of traffic, such as 2m.")]
Lag = Annotated[str, typer.Option("--lag", help="One way to the control plane, nearest..farthest POP.")]
Loss = Annotated[str, typer.Option("--loss", help="Messages that have to be sent again.")]
Changes = Annotated[int | None, typer.Option("--changes", min=0, help="Withdrawals, revocations, policies, …")]
Partition = Annotated[list[str] | None, typer.Option("--partition", help="No word either way: 3@10s+70s.")]
CutPush = Annotated[list[str] | None, typer.Option("--cut-push", help="Only polls get through: 1-9@5s+30s.")]
Kill = Annotated[list[str] | None, typer.Option("--kill", help="kill -9, back after 2 s: 5@20s, 5@20s+10s.")]
Restore = Annotated[
    list[str] | None,
    typer.Option(
        "--restore", help="Comes back with an older pop.db: 4@30s; control-plane@30s: from a backup and its POPs."
    ),
]
Suspend = Annotated[list[str] | None, typer.Option("--suspend", help="The machine sleeps: 6@10s+70s.")]
Replay = Annotated[list[str] | None, typer.Option("--replay", help="Polls get an old answer: 7@10s+70s.")]
Rewind = Annotated[list[str] | None, typer.Option("--rewind", help="The control plane's store is put back: 50s.")]
Skew = Annotated[list[str] | None, typer.Option("--skew", help="A wrong wall clock: 2@+90s, 2@-90s.")]
NoPush = Annotated[bool, typer.Option("--no-push", help="No POP listens to push; polls carry everything.")]
Careless = Annotated[list[str] | None, typer.Option("--careless", help="POPs without the in-sync rule: must fail.")]
MindChanges = Annotated[
    int, typer.Option("--minds", min=0, help="Changes of mind of people who move between POPs; 0: none.")
]
MindRequests = Annotated[int | None, typer.Option("--mind-requests", min=0, help="Pictures that these people ask for.")]
SelfTest = Annotated[bool, typer.Option("--self-test", help="Break the rules one by one: each must turn red.")]
Learn = Annotated[str | None, typer.Option("--learn", help="Weeks of learning instead of faults, such as 17w.")]
Visitors = Annotated[int, typer.Option("--visitors", min=10, help="With --learn: visits a day of each POP.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed, the same faults and wishes.")]
Out = Annotated[Path, typer.Option("--out", help="Where simulate.json, .svg and .png go.")]

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(simulate)


def simulate(
    pops: Pops = 10,
    processes: Processes = None,
    events: Events = 15,
    requests: Requests = None,
    duration: Duration = None,
    lag: Lag = "5ms..150ms",
    loss: Loss = "0.5%",
    changes: Changes = None,
    partition: Partition = None,
    cut_push: CutPush = None,
    kill: Kill = None,
    restore: Restore = None,
    suspend: Suspend = None,
    replay: Replay = None,
    rewind: Rewind = None,
    skew: Skew = None,
    no_push: NoPush = False,
    careless: Careless = None,
    minds: MindChanges = 200,
    mind_requests: MindRequests = None,
    self_test: SelfTest = False,
    learn: Learn = None,
    visitors: Visitors = 1000,
    seed: Seed = 1,
    out: Out = OUT,
    as_json: JsonOption = False,
) -> None:
    """Play faults on a fleet of POPs and check that no "no" is ever outlived by more than 60 s.

    Exit code 1 if something was personalised after the bound, a log entry was skipped, or a person's last word did not
    hold: no picture in a category they refused, no yes lost.

    Example: [bold]edge simulate --pops 200 --requests 100000 --partition 3@10s+70s --kill 5@20s --skew 2@+90s[/bold]
    """
    if self_test:
        _self_test(as_json=as_json)
        return
    if learn is not None:
        _learn(learn, pops, visitors, seed, out if out != OUT else LEARN_OUT, as_json=as_json)
        return
    of_plane = [text for text in restore or () if text.startswith(PLANE)]
    restore = [text for text in restore or () if not text.startswith(PLANE)]
    faults = {
        "partition": partition, "cut-push": cut_push, "kill": kill, "restore": restore, "suspend": suspend,
        "replay": replay, "rewind": rewind,
    }  # fmt: skip
    from simulator.scenario import Scenario, parse_duration, parse_events, parse_pops, parse_range, parse_share
    from simulator.scenario import parse_skew as skews

    if processes is not None:
        _refuse_with_processes({**faults, "skew": skew, "careless": careless, "requests": requests})
        _measure(processes, events, push=not no_push, out=out, as_json=as_json)
        return

    def parsed(option: str, parse: Callable[[], T]) -> T:
        return _or_usage(f"--{option}", parse)

    happening = [
        event
        for kind, texts in faults.items()
        for text in texts or ()
        for event in parsed(kind, lambda kind=kind, text=text: parse_events(kind, text, pops))  # type: ignore[misc]
    ]
    scenario = _or_usage(
        "the scenario",
        lambda: Scenario(
            pops=pops,
            requests=requests or min(MOST_REQUESTS, SOME_REQUESTS * pops),
            duration=None if duration is None else parsed("duration", lambda: parse_duration(duration)),
            events=tuple(happening),
            skew=parsed("skew", lambda: skews(skew or (), pops)),
            lag=parsed("lag", lambda: parse_range(lag)),
            loss=parsed("loss", lambda: parse_share(loss)),
            changes=changes,
            push=not no_push,
            careless=frozenset(
                n
                for text in careless or ()
                for n in parsed("careless", lambda text=text: parse_pops(text, pops))  # type: ignore[misc]
            ),
            seed=seed,
        ),
    )
    from simulator.minds.world import Minds

    people = Minds(
        changes=minds,
        requests=5 * minds if mind_requests is None else mind_requests,
        restore_at=tuple(parsed("restore", lambda text=text: parse_duration(text[len(PLANE) :])) for text in of_plane),  # type: ignore[misc]
        seed=seed,
    )
    _simulate(scenario, people, out, as_json=as_json)


def _self_test(*, as_json: bool) -> None:
    from dataclasses import asdict

    from simulator.minds.report import self_test, self_test_table

    with progress("faults", hidden=as_json) as bar:
        tried = self_test(on_progress=bar)
    show([asdict(one) for one in tried], as_json=as_json, text=lambda: self_test_table(tried))
    if not all(one.caught for one in tried):
        raise typer.Exit(FAILED)


def _learn(weeks: str, pops: int, visitors: int, seed: int, out: Path, *, as_json: bool) -> None:
    from simulator.learning.report import compare, table, write

    count = _or_usage("--learn", lambda: _weeks(weeks))
    with progress("weeks", hidden=as_json) as bar:
        document = compare(count, pops, visitors, seed, bar)
    write(document, out)
    show(document, as_json=as_json, text=lambda: table(document, out))
    if not document["gate"]["passed"]:
        raise typer.Exit(FAILED)


def _weeks(text: str) -> int:
    number = text.removesuffix("w")
    if not number.isdecimal() or not 1 <= int(number) <= MOST_WEEKS:
        raise ValueError(f"expected 1w to {MOST_WEEKS}w")
    return int(number)


def _simulate(scenario: Any, people: Any, out: Path, *, as_json: bool) -> None:
    from time import perf_counter

    from simulator.plot import draw
    from simulator.report import to_json, to_text, write
    from simulator.virtual.run import simulate as play

    started = perf_counter()
    with progress(f"{scenario.pops} POPs", hidden=as_json) as bar:
        outcome = play(scenario, bar)
    document = to_json(outcome, perf_counter() - started)
    if people.changes:
        document = _with_people(document, people, hidden=as_json)
    written = write(document, out), *draw(outcome, document, out)
    show(document, as_json=as_json, text=lambda: _shown(document, to_text))
    err.print("[dim]" + "  ".join(str(path) for path in written) + "[/]")
    if not document["ok"]:
        raise typer.Exit(FAILED)


def _with_people(document: dict[str, Any], people: Any, *, hidden: bool) -> dict[str, Any]:
    """The fleet's document with what people who change their mind came to: their counters stand beside its own."""
    from simulator.minds.report import to_json
    from simulator.minds.world import play

    with progress("people who change their mind", hidden=hidden) as bar:
        minds = to_json(people, play(people, bar))
    counters = {name: minds[name] for name in ("personalised_after_no_same_browser", "yes_lost", "situations")}
    return {**document, **counters, "minds": minds, "ok": document["ok"] and minds["ok"]}


def _shown(document: dict[str, Any], fleet: Callable[[dict[str, Any]], Any]) -> Any:
    from rich.console import Group

    from simulator.minds.report import to_text

    return Group(fleet(document), to_text(document["minds"])) if "minds" in document else fleet(document)


def _measure(processes: int, events: int, *, push: bool, out: Path, as_json: bool) -> None:
    from latency_gate.propagation import measure, to_text
    from simulator.report import write

    with progress(f"{processes} POP processes", hidden=as_json) as bar:
        document = measure(processes, events, push=push, out=out, on_progress=bar)
    write(document, out)
    show(document, as_json=as_json, text=lambda: to_text(document))
    if not document["ok"]:
        raise typer.Exit(FAILED)


def _refuse_with_processes(options: dict[str, object]) -> None:
    for option, value in options.items():
        if value:
            raise typer.BadParameter("real processes are not put into scenarios; leave --processes out",
                                     param_hint=f"--{option}")  # fmt: skip


def _or_usage(option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
