"""Whether a signed answer of the revocation log may be believed, given what this POP already knows.

Only judges: no network, no disk, no clock, and no opinion on what a refusal leads to (that is `follower`'s). In order:
form and signature, nonce, links between the entries (all in `formats.revocation`), the signing key's standing, origin,
head, sequence, and whether the entries go on from the very entry that this POP stands at.
Modelled on python-tuf's `TrustedMetadataSet`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from consent_core.errors import Untrusted
from consent_core.formats.log_head import Succession, open_succession
from consent_core.formats.revocation import Answer, Entry, Point, Snapshot, Trust, head_of, open_answer, open_snapshot
from runtime_host.pop.stores.followed_log import Position

# Codes that only the log itself can cause: somebody with its key says something that cannot be.
ALARMS = frozenset({"log-origin", "log-rewind", "log-fork", "log-gap"})
# Those of which time heals none: the log is another one than this POP enforced.
LASTING = ALARMS - {"log-gap"}


class Judge:
    """Judges answers to one POP. `trust()`: whom it trusts now; `revoked()`: the keys that the log took away."""

    def __init__(self, trust: Callable[[], Trust], revoked: Callable[[], frozenset[str]]) -> None:
        self._trust = trust
        self._revoked = revoked

    def answer(self, data: bytes, nonce: str, known: Position, now: int) -> Answer:
        """An answer to the poll with `nonce` that asked for what follows `known.position`.

        Args:   now: Unix seconds by this POP's wall clock; the log's own time is believed where it is later.
        Raises: Untrusted("log-…" | "trust-…" | "json-malformed").
        """
        with _log_key():
            answer = open_answer(data, self._trust(), nonce, now, self._revoked())
        _check_continuity(answer, known)
        _check_sequence(answer.entries, answer.head, known.position)
        _check_chain(answer.entries, Point(answer.head, answer.chain), known)
        return answer

    def snapshot(self, data: bytes, nonce: str, known: Position, now: int) -> Snapshot:
        """A snapshot for a POP whose position the log no longer reaches back to. Raises: as `answer`."""
        with _log_key():
            snapshot = open_snapshot(data, self._trust(), nonce, now, self._revoked())
        _check_continuity(snapshot, known)
        if snapshot.after != known.position or snapshot.through <= known.position:
            raise Untrusted("log-gap", "the snapshot leads nowhere")
        if snapshot.after_chain != known.chain:
            raise Untrusted("log-fork", f"another entry {known.position} than the one enforced here")
        _check_chain((), Point(snapshot.through, snapshot.through_chain), known)
        _check_chain(snapshot.entries, Point(snapshot.head, snapshot.chain), known)
        return snapshot

    def succession(self, data: bytes, nonce: str, known: Position, now: int) -> Succession:
        """The log that takes this one's place, if it continues from where this POP stands.

        Raises: Untrusted("log-…" | "trust-…" | "json-malformed"); "log-origin" for one that covers another place.
        """
        with _log_key():
            following = open_succession(data, self._trust(), nonce, now, self._revoked())
        stands = Point(known.position, known.chain)
        if (following.old_origin, following.old) != (known.origin, stands) or following.follow.number > stands.number:
            raise Untrusted("log-origin", "a succession that does not cover what is enforced here")
        return following


@contextmanager
def _log_key() -> Iterator[None]:
    """A log that goes on under a key which it took away itself has a code of its own."""
    try:
        yield
    except Untrusted as error:
        if error.code == "trust-key-revoked":
            raise Untrusted("log-key-revoked", "signed by a key that the log took away") from error
        raise


def _check_continuity(answer: Answer | Snapshot, known: Position) -> None:
    """The same log as before, and not shorter than it ever was."""
    if known.origin is not None and answer.origin != known.origin:
        raise Untrusted("log-origin", "another log than the one this POP follows")
    if answer.head < max(known.head, known.position):
        raise Untrusted("log-rewind", f"the head went back from {max(known.head, known.position)} to {answer.head}")


def _check_chain(entries: Sequence[Entry], signed: Point, known: Position) -> None:
    """What is signed now agrees with every hash that this POP knows: of its own place, and of heads signed before."""
    places = [(known.position, known.chain), (known.head, known.head_chain), (known.due, known.due_chain)]
    said = [signed, head_of(entries, signed), *(Point(entry.seq - 1, entry.prev) for entry in entries)]
    for number, chain in places:
        if chain is not None and any(point.number == number and point.chain != chain for point in said):
            raise Untrusted("log-fork", f"another entry {number} than the one signed for before")


def _check_sequence(entries: Sequence[Entry], head: int, position: int) -> None:
    """The entries follow the position at once, and none are held back. Their own order is `open_answer`'s."""
    if entries and entries[0].seq != position + 1:
        raise Untrusted("log-gap", f"expected entry {position + 1}, got {entries[0].seq}")
    if not entries and head > position:
        raise Untrusted("log-gap", f"{head - position} entries held back")
