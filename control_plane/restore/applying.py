"""Carries a restore out: one transaction from what was delivered to a log that may be believed again.

In this order: receipts of grants, entries of the log, withdrawals (each visitor's version raised above anything seen
before its noes count), erasures again, policies; then the log stands as `serving` and says whose place it takes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError
from consent_core.formats.grant_proof import GrantProof
from consent_core.formats.kept import Kept
from consent_core.formats.revocation import Entry
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from control_plane.consent import counted, records
from control_plane.consent.batch import owners_of
from control_plane.consent.judging import as_recorded, judge, reasons_of, within
from control_plane.consent.proofs import record_of
from control_plane.consent.records import Record, Visitor
from control_plane.consent.versions import Denial, Versions
from control_plane.log.log import RevocationLog, Writing
from control_plane.policies.current import Policies
from control_plane.restore.deciding import Decision, No, Source, decide
from control_plane.restore.material import Material, read_material
from control_plane.restore.merging import take_over
from control_plane.store.schema import log, restore_material, restore_pops, visitors
from control_plane.store.schema import sessions as session_rows

PAGE = 500  # rows read at once


@dataclass(frozen=True, slots=True)
class Restoring:
    """Restores of one store. `distrust` replaces a key. `left_out`: deliveries that could not be verified, by code."""

    log: RevocationLog
    policies: Policies
    versions: Versions
    keys: KeyStore
    distrust: Callable[[str], None]
    clock: Clock
    left_out: Counter[str] = field(default_factory=Counter)

    def carry_out(self) -> None:
        """Take over everything that was delivered, and let the log be believed."""
        with self.log.restoring() as writing:
            material = read_material(_delivered(writing.connection), self.keys.trust_file())
            self.apply(writing, material)
            writing.connection.execute(delete(restore_material))
            writing.connection.execute(delete(restore_pops))
        self.left_out.update(material.left_out)
        self._distrust(material.entries.values())

    def latecomer(self, lines: Sequence[Kept]) -> None:
        """Take over the entries that a POP brings after the restore; its noes come through its outbox."""
        material = read_material(lines, self.keys.trust_file())
        if not material.entries:
            return
        with self.log.writing() as writing:
            took = take_over(writing, material.entries)
            _erase_again(writing.connection)
        self._distrust(took)

    def apply(self, writing: Writing, material: Material) -> None:
        """The restore itself, inside a transaction of the caller."""
        connection = writing.connection
        proofs = _by_sub(connection, material.grants)
        _add_sessions(connection, material.grants)
        took = take_over(writing, material.entries)
        noes = self._noes(connection, material)
        entries = _by_subject(material.entries.values())
        crash_point("restore.entries-taken")
        for visitor in _everybody(connection):
            mine = proofs.get(visitor.sub, [])
            self._restore(writing, visitor, mine, entries.get(visitor.subject, []), noes.get(visitor.sub, {}))
        _erase_again(connection)
        for bundle in material.bundles:
            self._take_policy(writing, bundle, material)
        if any(entry.kind == "policy" for entry in took):
            writing.append("policy", self.policies.current(connection).hash)

    def _restore(
        self,
        writing: Writing,
        visitor: Visitor,
        proofs: Sequence[GrantProof],
        entries: Sequence[Entry],
        noes: Mapping[str, No],
    ) -> None:
        """Write one visitor's next version, far above anything seen."""
        known = [] if visitor.ver == 0 else [records.newest(writing.connection, visitor.sub)]
        known += [record_of(proof) for proof in proofs]
        base = max(known, key=lambda record: record.ver)
        visitor = replace(visitor, ver=base.ver)
        sources = [Source(record.ver, record.words, record.at) for record in known]
        decision = decide(sources, entries, noes.values())
        allowed = {category for record in known for category in record.categories}
        record = self._next(writing.connection, base, decision, allowed)
        visitor = replace(visitor, retain_until=max(visitor.retain_until, *(p.retain_until for p in proofs), 0))
        for taken in decision.taken:
            self.versions.deny(writing, visitor, base.words, Denial(taken.below, taken.said))
        self.versions.store(writing, visitor, record, base.words, Denial())
        for key, no in noes.items():
            counted.remember(writing.connection, visitor.sub, counted.NO, key, no.categories, self.clock.now())

    def _next(self, connection: Connection, base: Record, decision: Decision, allowed: set[str]) -> Record:
        policy = self.policies.current(connection)
        decided = judge(policy, as_recorded(base), decision.words, base.basis)
        categories = within(decided.categories, allowed)
        lost = set(base.categories) - set(categories)
        record = replace(
            base,
            ver=decision.ver,
            source="restore",
            words=decision.words,
            categories=categories,
            revoked=bool(lost),
            policy_hash=policy.hash,
        )
        return replace(record, reasons=reasons_of(record, decided, categories))

    def _noes(self, connection: Connection, material: Material) -> dict[str, dict[str, No]]:
        """What POPs were told, by visitor and idempotency key, without what the backup has counted."""
        noes: dict[str, dict[str, No]] = defaultdict(dict)
        now = self.clock.now()
        for row in material.withdrawals:
            (sub,) = owners_of(connection, (row,), now)
            if sub is None:
                material.left_out["session-unknown"] += 1
                continue
            done = counted.categories_of(connection, sub, counted.NO, row.key) or ()
            named = tuple(c for c in row.categories or CATEGORIES if c not in done)
            if named:
                before = noes[sub].get(row.key)
                both = named if before is None else within((*before.categories, *named))
                noes[sub][row.key] = No(both, row.number, row.at)
        return noes

    def _take_policy(self, writing: Writing, bundle: bytes, material: Material) -> None:
        try:
            self.policies.take_over(writing, bundle)
        except ConsentEdgeError as error:
            material.left_out[error.code] += 1

    def _distrust(self, entries: Iterable[Entry]) -> None:
        """A key that was revoked after the backup signs nothing from here on."""
        for entry in entries:
            if entry.kind == "key":
                self.distrust(entry.subject)


def _delivered(connection: Connection) -> Iterator[Kept]:
    last = 0
    query = select(restore_material).order_by(restore_material.c.id).limit(PAGE)
    while rows := connection.execute(query.where(restore_material.c.id > last)).all():
        yield from (Kept(row.kind, bytes(row.body)) for row in rows)
        last = rows[-1].id


def _by_sub(connection: Connection, grants: Iterable[GrantProof]) -> dict[str, list[GrantProof]]:
    """The proofs of each visitor; one that the backup does not know is added, at version 0."""
    proofs: dict[str, list[GrantProof]] = defaultdict(list)
    for proof in grants:
        proofs[proof.sub].append(proof)
    for sub, mine in proofs.items():
        if connection.scalar(select(visitors.c.sub).where(visitors.c.sub == sub)) is None:
            until = max(proof.retain_until for proof in mine)
            values = {"sub": sub, "subject": subject_of(sub), "record_id": mine[0].record_id}
            connection.execute(insert(visitors).values({**values, "ver": 0, "retain_until": until}))
    return proofs


def _add_sessions(connection: Connection, grants: Iterable[GrantProof]) -> None:
    """The sessions that grants began. They count as presented: who holds one must not be swept after a day."""
    for proof in sorted(grants, key=lambda proof: proof.at):
        known = connection.scalar(select(session_rows.c.sub).where(session_rows.c.session == proof.session))
        if known is None:
            values: dict[str, Any] = {"session": proof.session, "withdraw": proof.withdraw, "sub": proof.sub}
            values |= {"predecessor": proof.predecessor, "at": proof.at, "presented_at": proof.at, "retired": False}
            connection.execute(insert(session_rows).values(values))
        counted.remember(connection, proof.sub, counted.YES, proof.key, proof.grant, proof.at)


def _by_subject(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    mine: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == "session":
            mine[entry.subject].append(entry)
    return mine


def _everybody(connection: Connection) -> Iterator[Visitor]:
    last = ""
    query = select(visitors).order_by(visitors.c.sub).limit(PAGE)
    while rows := connection.execute(query.where(visitors.c.sub > last)).all():
        yield from (Visitor(*row) for row in rows)
        last = rows[-1].sub


def _erase_again(connection: Connection) -> None:
    """Who was erased after the backup was made is in it: they go before anything is served."""
    erased = select(log.c.subject).where(log.c.kind == "purge")
    connection.execute(delete(visitors).where(visitors.c.subject.in_(erased)))
