"""Ways to break the rules. Each must turn a counter red: a simulation that stays green under one is worth nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from consent_core.decision import grant
from consent_core.formats.refusals import NONE
from control_plane.consent import changes, withdrawing
from control_plane.log.log import RevocationLog
from runtime_host.pop.serving.routes.consent import asking
from runtime_host.pop.stores.outbox import Batch, Outbox
from runtime_host.pop.sync import forwarder, judge


@dataclass(frozen=True, slots=True)
class Fault:
    """`caught_by`: the counters of which at least one must be red. `patches`: module, name and what stands there."""

    name: str
    says: str
    caught_by: tuple[str, ...]
    patches: tuple[tuple[Any, str, Any], ...] = ()
    full_lists: bool = False
    copy_back: bool = False


def _new_bound(*arguments: Any, **options: Any) -> changes.Taken:
    """A late no that takes from the record's newest version: the tokens of the later yes fall below it."""
    taken = changes.take(*arguments, **options)
    ver = arguments[0] + 1
    named = tuple(category for categories in taken.below.values() for category in categories)
    return replace(taken, below={max(ver, *taken.below): named} if named else {})


def _no_check(*_: Any) -> bool:
    """Nothing is wrong with any log."""
    return False


_claim = Outbox.claim


def _claim_one(box: Outbox, limit: int = 1) -> Batch:
    """One withdrawal in a request."""
    return _claim(box, min(limit, 1))


FAULTS = (
    Fault(
        "ignored-refusals",
        "POPs do not look at consent-no",
        ("personalised_after_no_same_browser",),
        ((grant, "refusals_in", lambda _: NONE), (asking, "refusals_in", lambda _: NONE)),
    ),
    Fault(
        "full-lists",
        "a yes sends every category that the browser believes in",
        ("no_lost", "personalised_after_no_same_browser"),
        full_lists=True,
    ),
    Fault(
        "wrong-bound",
        "a late no denies below the newest version",
        ("yes_lost",),
        ((withdrawing, "take", _new_bound),),
    ),
    Fault(
        "no-chain-check",
        "POPs believe a log whose store was only copied back",
        ("yes_lost", "no_lost", "locked_out"),
        (
            (judge, "_check_chain", _no_check),
            (judge, "_check_continuity", _no_check),
            (RevocationLog, "_has_forgotten", _no_check),
        ),
        copy_back=True,
    ),
    Fault(
        "serial-outbox",
        "a POP forwards one withdrawal at a time",
        ("burst_over_s",),
        ((Outbox, "claim", _claim_one), (forwarder, "MAX_UNDER_WAY", 1)),
    ),
)


@contextmanager
def broken(fault: Fault | None) -> Iterator[None]:
    """The rules broken while the block lasts."""
    patches = () if fault is None else fault.patches
    before = [(module, name, getattr(module, name)) for module, name, _ in patches]
    for module, name, instead in patches:
        setattr(module, name, instead)
    try:
        yield
    finally:
        for module, name, was in before:
            setattr(module, name, was)
