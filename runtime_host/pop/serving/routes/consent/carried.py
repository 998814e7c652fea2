"""What a browser brings along in `consent-no`: together with its session, each entry is a "no" said here too.

Without the session it only narrows. An entry that the record has overtaken, or that no honest browser can have
written, is left to `superseded`. A key counts once for each visitor.
"""

from typing import Protocol

from consent_core.formats.consent import BELIEVED
from consent_core.formats.refusals import Refusal
from consent_core.formats.session import Credentials
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.routes.consent.asking import Asked, legacy_of
from runtime_host.pop.serving.routes.consent.state import States, superseded
from runtime_host.pop.stores import DeniedText, Session, Withdrawal
from runtime_host.pop.stores.outbox import Outbox


class Outgoing(Protocol):
    """The part of the sync room that withdrawals need."""

    async def say(self, *withdrawals: Withdrawal, text: DeniedText | None = None) -> None:
        """Put a "no" in force here, durably. Raises: Unavailable."""
        ...

    async def has_forwarded(self, withdrawals: "tuple[Withdrawal, ...]", within_s: float) -> bool:
        """Whether the control plane has them by then."""
        ...

    async def tell_at_once(self, withdrawals: "tuple[Withdrawal, ...]") -> bool:
        """Tell the control plane of what no disk here keeps. Raises: Unavailable, Untrusted."""
        ...


class Carried:
    """Takes the entries of a request's cookie as what they are."""

    def __init__(self, outgoing: Outgoing, outbox: Outbox, states: States) -> None:
        self._outgoing = outgoing
        self._outbox = outbox
        self._states = states

    async def take(self, asked: Asked, session: Credentials | None, owner: Session | None) -> None:
        """Put the entries that count in force for this visitor. Raises: Unavailable."""
        if session is None or owner is None or asked.refusals.broken:
            return
        last = self._states.last(session)
        over = set() if last is None else {entry["key"] for entry in superseded(asked.refusals, last.answer)}
        noes = tuple(
            _withdrawal(entry, session, owner)
            for entry in asked.refusals.entries
            if 0 < entry.number <= owner.ver + BELIEVED and entry.key not in over and _named(entry)
        )
        new = tuple(no for no in noes if not self._outbox.holds(no.key, no.visitor))
        if new:
            await self._outgoing.say(*new)

    async def settle(self, owner: Session | None, within_s: float) -> bool:
        """Whether the control plane has everything this visitor said here, within a moment."""
        if owner is None or not self._outbox.waits(owner.subject):
            return True
        return await self._outgoing.has_forwarded(self._outbox.pending_of(owner.subject), within_s)


def _withdrawal(entry: Refusal, session: Credentials, owner: Session) -> Withdrawal:
    """Below the entry's own number: it was said before, and a later yes is not meant."""
    number, legacy = entry.number, legacy_of(session)
    return Withdrawal(entry.key, session.withdraw, owner.subject, number, _named(entry), number, legacy, entry.at)


def _named(entry: Refusal) -> tuple[str, ...]:
    return tuple(name for name in entry.categories if name in CATEGORIES)
