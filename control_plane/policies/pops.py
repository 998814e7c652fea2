"""How far each POP has come: the policy it decides by, its place in the log, what it refused, what it erased."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.status import PopStatus, PurgeReceipt
from control_plane.store.database import Database
from control_plane.store.schema import log, log_head, pops, purge_receipts

ENDS = "ends"  # beside the counts of a kept receipt; no part has that name


@dataclass(frozen=True, slots=True)
class Pops:
    """The newest report of each POP of one store."""

    database: Database
    clock: Clock

    def report(self, pop: str, status: PopStatus) -> None:
        """Keep a report and the receipts in it. Sent twice, it counts once."""
        try:
            self._keep(pop, status)
        except IntegrityError:  # another request of the same POP was first to add a row: now it can be changed
            self._keep(pop, status)

    def statuses(self) -> dict[str, Any]:
        """The policy in force and every POP's report, for people: see `docs/formats/pop-status.md`."""
        with self.database.read() as connection:
            head = connection.execute(select(log_head)).one()
            rows = connection.execute(select(pops).order_by(pops.c.pop)).all()
        reports = [_report(row, head.policy_hash, head.head) for row in rows]
        return {"policy_hash": head.policy_hash, "head": head.head, "at": self.clock.now(), "pops": reports}

    def status(self, pop: str) -> dict[str, Any]:
        """One POP's report. Raises: Rejected("pop-unknown", 404)."""
        for report in self.statuses()["pops"]:
            if report["pop"] == pop:
                return dict(report)
        raise Rejected("pop-unknown", "no POP of that name has reported", status=404)

    def receipts(self, seq: int) -> dict[str, Any]:
        """What each POP has said of one purge; `receipt` is null where one is still owed."""
        with self.database.read() as connection:
            known = connection.scalars(select(pops.c.pop).order_by(pops.c.pop)).all()
            mine = select(purge_receipts).where(purge_receipts.c.seq == seq)
            received = {row.pop: _receipt(row.at, json.loads(row.deleted)) for row in connection.execute(mine)}
        return {"seq": seq, "pops": [{"pop": pop, "receipt": received.get(pop)} for pop in known]}

    def _keep(self, pop: str, status: PopStatus) -> None:
        now = self.clock.now()
        with self.database.write() as connection:
            before = connection.execute(select(pops).where(pops.c.pop == pop).with_for_update()).one_or_none()
            same = before is not None and before.policy_hash == status.policy_hash
            values = _values(status, before.policy_since if before is not None and same else now, now)
            if before is None:
                connection.execute(insert(pops).values(pop=pop, **values))
            else:
                connection.execute(update(pops).where(pops.c.pop == pop).values(values))
            for receipt in status.receipts:
                _keep_receipt(connection, pop, receipt)


def _values(status: PopStatus, policy_since: int, now: int) -> dict[str, Any]:
    return {
        "policy_hash": status.policy_hash,
        "policy_since": policy_since,
        "revocation_seq": status.revocation_seq,
        "releases": json.dumps(dict(status.releases)),
        "audit_head": status.audit_head,
        "untrusted": json.dumps(dict(status.untrusted)),
        "outbox_oldest_s": status.outbox_oldest_s,
        "at": now,
    }


def _keep_receipt(connection: Connection, pop: str, receipt: PurgeReceipt) -> None:
    """The first receipt stays. One for an entry that is no purge of that person is not evidence of anything."""
    mine = (purge_receipts.c.seq == receipt.seq) & (purge_receipts.c.pop == pop)
    asked = select(log.c.subject).where(log.c.seq == receipt.seq, log.c.kind == "purge")
    known = connection.scalar(select(purge_receipts.c.seq).where(mine)) is not None
    if known or connection.scalar(asked) != receipt.subject:
        return
    told = {**receipt.deleted, ENDS: dict(receipt.ends)} if receipt.ends else dict(receipt.deleted)
    values = {"seq": receipt.seq, "pop": pop, "subject": "", "at": receipt.at}  # the entry names the person; no need to
    connection.execute(insert(purge_receipts).values({**values, "deleted": json.dumps(told)}))


def _receipt(at: int, told: dict[str, Any]) -> dict[str, Any]:
    """What a POP said: how much of each part was deleted, and when what cannot be cut is gone."""
    ends = {} if ENDS not in told else {ENDS: told.pop(ENDS)}
    return {"at": at, "deleted": told, **ends}


def _report(row: Row[Any], policy_hash: str | None, head: int) -> dict[str, Any]:
    return {
        "pop": row.pop,
        "policy_hash": row.policy_hash,
        "policy_since": row.policy_since,
        "current": row.policy_hash is not None and row.policy_hash == policy_hash,
        "revocation_seq": row.revocation_seq,
        "behind": head - row.revocation_seq,
        "releases": json.loads(row.releases),
        "audit_head": row.audit_head,
        "untrusted": json.loads(row.untrusted),
        "outbox_oldest_s": row.outbox_oldest_s,
        "reported_at": row.at,
    }
