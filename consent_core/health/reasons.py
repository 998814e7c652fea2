"""Every reason why somebody has to look at a process, of two kinds.

*leave*: this process alone is broken, and another in its place would serve. A readiness probe takes it out.
*stay*: what is wrong is wrong everywhere, or harms no answer. Taking the process out helps no visitor, and a backlog
everywhere would empty the fleet. An alarm tells a person.

`docs/health.md` has the same table (a test compares).
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a probe makes of a reason."""

    LEAVE = "leave"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `action`: what the operator does next."""

    code: str
    kind: Kind
    meaning: str
    action: str


def _leave(code: str, meaning: str, action: str) -> Reason:
    return Reason(code, Kind.LEAVE, meaning, action)


def _stay(code: str, meaning: str, action: str) -> Reason:
    return Reason(code, Kind.STAY, meaning, action)


REASONS = (
    _leave("starting", "not in sync yet, for at most 60 s from the start", "wait"),
    _leave("disk-full", "a store found no room, or less than 32 MiB is left", "make room; nothing is lost meanwhile"),
    _leave("store-corrupt", "the database is damaged", "put it aside, start again; docs/stores.md says what is lost"),
    _leave("store-locked", "another process has held the database's lock too long", "find and end that process"),
    _leave("store-unwritable", "the database cannot be written or does not answer", "look at disk, mount and owner"),
    _leave("store-away", "the control plane's database does not answer", "start it, or the way to it"),
    _leave("audit-unwritable", "the audit trail cannot be written", "look at disk, mount, owner and key provider"),
    _leave("certificate-expired", "this process's own SVID ran out", "see why SPIRE or the CA renews it no more"),
    _leave("renderers-dead", "no process can be started that renders", "free memory or processes; it is tried again"),
    _leave("ticker-dead", "no thread ticks deadlines, so no function runs", "start the process again"),
    _leave("worker-missing", "fewer workers serve than are wanted", "the log says why each one ends"),
    _stay("control-plane-away", "no good answer for 60 s; everybody gets the default", "look at the control plane"),
    _stay("clock-off", "the clock differs from the control plane's by 30 s or more", "set the clock (NTP)"),
    _stay("log-alarm", "the log said what cannot be; nothing is personalised", "docs/sync.md, by the code"),
    _stay("policy-missing", "no policy is in force; everybody gets the default", "edge policy status"),
    _stay("component-distrusted", "a function's signature counts no more", "sign it again, or deploy another"),
    _stay("catalogue-broken", "a picture or the catalogue is broken; the last good is shown", "edge catalogue check"),
    _stay("outbox-late", "a withdrawal has waited 60 s for the control plane", "look at the control plane"),
    _stay("proxy-unknown", "forwarding headers from no trusted proxy: no rates for them", "name it in trusted_proxies"),
    _stay("ledger-closed", "the ledger takes no leaves", "edge ledger status"),
    _stay("ledger-unwitnessed", "too few witnesses have cosigned for 300 s", "edge ledger status names the witness"),
)

BY_CODE = {reason.code: reason for reason in REASONS}
