"""What one check found: nothing, findings with codes, or a reason why the file does not show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consent_core.errors import Untrusted


@dataclass(frozen=True, slots=True)
class Outcome:
    """found: why the check fails. reason: why it is not shown (a word of `sentences.py`), if nothing fails.

    excuse: the member of the pack's `open`, or the beginning of one of its `left`, that admits the reason.
    remarks: odd, but no failure. facts: what the sentence names.
    """

    found: tuple[Untrusted, ...] = ()
    reason: str | None = None
    excuse: str | None = None
    remarks: tuple[Untrusted, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def outcome(
    found: Iterable[Untrusted], reason: str | None = None, excuse: str | None = None, **facts: object
) -> Outcome:
    """An outcome from what a generator yields. `reason` counts where nothing was found."""
    failures = tuple(found)
    return Outcome(failures, None if failures else reason, excuse, (), facts)


def attempt(check: object, *arguments: object) -> Iterable[Untrusted]:
    """The refusal of a check that raises, or nothing."""
    try:
        check(*arguments)  # type: ignore[operator]
    except Untrusted as error:
        return (error,)
    return ()
