"""What policy makes of a record's words, here and now, and why."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from consent_core.formats.token import CATEGORIES
from control_plane.consent.changes import Words, in_state, numbers_of
from control_plane.consent.records import Record
from control_plane.policies.current import Circumstances, Decided, Policy


def judge(policy: Policy, here: Circumstances, words: Words, basis: str) -> Decided:
    """What the last words come to: consent by the law for choices, notice by the law for who has said nothing."""
    silent = in_state(words, "not-given") if basis == "notice" else ()
    decided = policy.decide(here, in_state(words, "given"), (*in_state(words, "notified"), *silent))
    return replace(decided, categories=tuple(c for c in decided.categories if words[c].on))


def reasons_of(record: Record, decided: Decided, categories: Collection[str]) -> dict[str, str]:
    """Why each category is effective or not. What a signal took, or the record never allowed, keeps its reason."""
    kept = (*in_state(record.words, "signalled"), *(c for c in decided.categories if c not in categories))
    return {**decided.reasons, **{c: record.reasons[c] for c in kept if c in record.reasons}}


def taken_by_signal(policy: Policy, record: Record, here: Circumstances) -> tuple[str, ...]:
    """What the record still allows and this request's opt-out signal ends."""
    if not here.gpc:
        return ()
    with_signal = judge(policy, here, record.words, record.basis).categories
    without = judge(policy, replace(here, gpc=False), record.words, record.basis).categories
    return tuple(c for c in record.categories if c in without and c not in with_signal)


def refused_now(words: Words, refused: Mapping[str, int]) -> frozenset[str]:
    """The categories that a browser's `consent-no` keeps out of its token: no later yes is recorded."""
    numbers = numbers_of(words)
    return frozenset(c for c, number in refused.items() if number == 0 or number >= numbers.get(c, 0))


def as_recorded(record: Record) -> Circumstances:
    """Where and how the record's newest version came about."""
    return Circumstances(record.jurisdiction, record.gpc, record.age_band)


def within(categories: Iterable[str], *limits: Collection[str]) -> tuple[str, ...]:
    """Those that are in every limit, in canonical order."""
    named = set(categories)
    return tuple(c for c in CATEGORIES if c in named and all(c in limit for limit in limits))
