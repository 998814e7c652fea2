"""Rectification: what a record says of a person's circumstances is set right, as a new version; never a wider one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent_core.errors import Rejected
from control_plane.consent import records
from control_plane.consent.consents import Consents
from control_plane.consent.judging import judge, reasons_of, within
from control_plane.consent.versions import Denial
from control_plane.dsar.store import Request
from control_plane.log.log import RevocationLog
from control_plane.policies.current import Circumstances

MEMBERS = ("age_band", "jurisdiction", "language")


@dataclass(frozen=True, slots=True)
class Correcting:
    """Corrections of one store."""

    log: RevocationLog
    consents: Consents

    def correct(self, request: Request, subject: str) -> Mapping[str, Any]:
        """The version that says what the person says. Raises: Rejected("visitor-unknown", 404)."""
        wish = {name: str(request.wish[name]) for name in MEMBERS if name in request.wish}
        with self.log.writing() as writing:
            visitor = records.find_visitor(writing.connection, subject=subject)
            if visitor is None:
                raise Rejected("visitor-unknown", "no such visitor", status=404)
            before = records.newest(writing.connection, visitor.sub)
            notice = {**before.notice, **({"language": wish["language"]} if "language" in wish else {})}
            age_band, jurisdiction = (wish.get(name, getattr(before, name)) for name in ("age_band", "jurisdiction"))
            changed = replace(before, notice=notice, age_band=age_band, jurisdiction=jurisdiction)
            if changed == before:
                return {"ver": before.ver}
            policy = self.consents.policies.current(writing.connection)
            here = Circumstances(changed.jurisdiction, before.gpc, changed.age_band)
            decided = judge(policy, here, before.words, before.basis)
            categories = within(decided.categories, before.categories)
            lost = within(before.categories, set(before.categories) - set(categories))
            record = replace(changed, ver=before.ver + 1, categories=categories, policy_hash=policy.hash)
            record = replace(record, reasons=reasons_of(record, decided, categories), revoked=bool(lost))
            denial = Denial({record.ver: lost} if lost else {})
            self.consents.withdrawing.versions.store(writing, visitor, record, before.words, denial)
            return {"ver": record.ver}
