"""The policy in force: published with its log entry, handed out by ETag, decided by.

Publishing stores the bundle, puts it in force and appends the `policy` entry in one transaction: a POP that sees the
entry finds the bundle, and a crash leaves either all of it or nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected, Unavailable
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.token import CATEGORIES
from consent_core.policy.authorizer import bundle_authorizer, lazy_authorizer
from consent_core.policy.bundle import Bundle, open_bundle
from consent_core.policy.clauses import Clause
from consent_core.policy.table import PolicyTable
from consent_core.trust.mesh import Authorize
from consent_core.trust.trust_file import NO_LOG, TrustFile
from control_plane.log.log import RevocationLog, Writing
from control_plane.store.schema import bundles, log_head

_IN_FORCE = select(log_head.c.policy_hash)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and how a person is asked."""

    jurisdiction: str
    gpc: bool
    age_band: str


@dataclass(frozen=True, slots=True)
class Decided:
    """Effective categories, the deciding rule for each category, and whether an opt-out signal was honoured."""

    categories: tuple[str, ...]
    reasons: dict[str, str]
    gpc_honoured: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """One bundle, ready to decide by. `authorize`: may this call of the mesh go through (`personalization.authz`)."""

    bundle: Bundle
    authorize: Authorize

    @property
    def hash(self) -> str:
        """Its name."""
        return self.bundle.hash

    @property
    def table(self) -> PolicyTable:
        """Its evaluated rules."""
        return self.bundle.table

    def decide(self, here: Circumstances, choices: Iterable[str], noticed: Iterable[str] = ()) -> Decided:
        """What the law of the place makes of these choices, and of what rests on notice alone: never more than it
        allows unasked.
        """
        consented, told = frozenset(choices), frozenset(noticed)
        answer = self.table.at_issue(here.jurisdiction, here.gpc, here.age_band, consented)
        categories, reasons = frozenset(answer.categories), dict(answer.reasons)
        if told:
            notice = self.table.after_notice(here.jurisdiction, here.gpc, here.age_band)
            categories |= told & frozenset(notice.categories)
            reasons.update({category: notice.reasons[category] for category in told})
        return Decided(tuple(c for c in CATEGORIES if c in categories), reasons, answer.gpc_honoured)

    def shown(self, clause_id: str | None, digest: str | None) -> dict[str, str]:
        """Id, digest and language of the clause that a person was shown; empty if nothing was.

        Raises: Rejected("clause-unknown").
        """
        if clause_id is None and digest is None:
            return {}
        found = next((c for c in self.bundle.clauses.values() if _is(c, clause_id, digest)), None)
        if found is None:
            raise Rejected("clause-unknown", "the policy in force has no such clause")
        return {"clause_id": found.id, "clause_sha256": found.sha256, "language": found.language}


def _is(clause: Clause, clause_id: str | None, digest: str | None) -> bool:
    return clause_id in (None, clause.id) and digest in (None, clause.sha256)


@dataclass(frozen=True, slots=True)
class Stored:
    """A bundle as POPs fetch it. `etag` names its exact bytes, signatures included."""

    hash: str
    revision: int
    body: bytes
    etag: str
    at: int


class Policies:
    """Bundles of one store. `_current` is replaced whole; any thread may do so, the result is the same."""

    def __init__(self, log: RevocationLog, trust: Callable[[], TrustFile], clock: Clock) -> None:
        self._log = log
        self._trust = trust
        self._clock = clock
        self._current: Policy | None = None

    def current(self, connection: Connection) -> Policy:
        """The policy in force in this transaction. Raises: Unavailable("policy-missing") before the first."""
        in_force = connection.scalar(_IN_FORCE)
        known = self._current
        if in_force is None:
            raise Unavailable("policy-missing", "no policy has been published")
        if known is None or known.hash != in_force:
            stored = _stored(connection, in_force)  # judged when it was put in force; this store is trusted since
            bundle = open_bundle(stored.body, self._trust(), stored.at, NO_LOG, min_revision=0)
            known = self._current = Policy(bundle, lazy_authorizer(bundle))
        return known

    def authorize(self, call: Mapping[str, Any]) -> None:
        """Let a call of the mesh through, by the policy this process last saw in force.

        Raises: Rejected("forbidden-route", 403); Unavailable("policy-missing") before the first policy.
        """
        known = self._current
        if known is None:
            with self._log.reading() as connection:
                known = self.current(connection)
        known.authorize(call)

    def in_force(self) -> Policy:
        """The policy in force. Raises: Unavailable("policy-missing")."""
        with self._log.reading() as connection:
            return self.current(connection)

    def clause(self, clause_id: str) -> Clause | None:
        """A clause of the policy in force. Raises: Unavailable("policy-missing")."""
        with self._log.reading() as connection:
            return self.current(connection).bundle.clauses.get(clause_id)

    def bundle(self) -> Stored:
        """The bundle in force. Raises: Unavailable("policy-missing")."""
        with self._log.reading() as connection:
            return _stored(connection, self.current(connection).hash)

    def publish(self, body: bytes) -> Stored:
        """Put a signed bundle in force; the one that already is may be published again without effect.

        Raises: Untrusted (bundle-…, for a bundle that does not verify), Rejected("policy-revision", 409).
        """
        now = self._clock.now()
        bundle = open_bundle(body, self._trust(), now, self._log.revoked_keys(), min_revision=0)
        stored = Stored(bundle.hash, bundle.revision, body, sha256_digest(body), now)
        ready = Policy(bundle, bundle_authorizer(bundle))  # before the entry: every POP comes at once after it
        with self._log.writing() as writing:
            if self._is_in_force(writing.connection, bundle):
                return _stored(writing.connection, bundle.hash)
            self._store(writing.connection, stored)
            writing.leaves.policy(writing.connection, bundle)
            crash_point("publish.after-store")
            writing.append("policy", bundle.hash)
            crash_point("publish.after-entry")
        self._current = ready
        return stored

    def take_over(self, writing: Writing, body: bytes) -> None:
        """Put a bundle in force that was in force before this store was lost; an older one than ours changes nothing.

        Raises: Untrusted (bundle-…).
        """
        now = self._clock.now()
        bundle = open_bundle(body, self._trust(), now, self._log.revoked_keys(), min_revision=0)
        if bundle.revision > self.current(writing.connection).bundle.revision:
            self._store(writing.connection, Stored(bundle.hash, bundle.revision, body, sha256_digest(body), now))
            writing.append("policy", bundle.hash)

    def _is_in_force(self, connection: Connection, bundle: Bundle) -> bool:
        head = connection.scalars(select(log_head.c.policy_hash).with_for_update()).one()
        newest = connection.scalar(select(bundles.c.revision).where(bundles.c.hash == head))
        if head != bundle.hash and newest is not None and bundle.revision <= newest:
            raise Rejected("policy-revision", f"revision {newest} is in force; a later one is needed", status=409)
        return bool(head == bundle.hash)

    def _store(self, connection: Connection, stored: Stored) -> None:
        if connection.scalar(select(bundles.c.hash).where(bundles.c.hash == stored.hash)) is not None:
            raise Rejected("policy-revision", "these very files were in force before; raise the revision", status=409)
        values = {"hash": stored.hash, "revision": stored.revision, "body": stored.body}
        connection.execute(insert(bundles).values({**values, "etag": stored.etag, "at": stored.at}))
        connection.execute(update(log_head).values(policy_hash=stored.hash))


def _stored(connection: Connection, policy_hash: str) -> Stored:
    columns = (bundles.c.hash, bundles.c.revision, bundles.c.body, bundles.c.etag, bundles.c.at)
    return Stored(*connection.execute(select(*columns).where(bundles.c.hash == policy_hash)).one())
