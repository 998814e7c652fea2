"""One action on a control plane's proofs and attesters, for `test_crash.py`.

CONSENT_EDGE_CRASH=attestation-taken python -m tests.control_plane.attesters.victim DIRECTORY attest
"""

import sys
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.formats.attestation import FIRST, Attestation, LogPosition, sign_attestation
from consent_core.formats.attester import AttesterRequest, Line, proof_message
from consent_core.formats.seen import NONE
from consent_core.formats.statement import After, Search, sign_statement
from control_plane.app import create_app
from control_plane.settings import Settings
from runtime_host.pop.evidence.key import AttesterKey

ID = "spiffe://ui-tools/edge/tokyo-1"
SUBJECT = "e9" * 32
NOW = ManualClock().wall


def opened(directory, later=0):
    clock = ManualClock()
    clock.advance(later)
    return create_app(Settings(data=directory, clock=clock))


def attest(plane, key):
    attestation = Attestation(
        iss=ID, iat=NOW, kind="start", life=1, n=1, prev=FIRST, since=NOW, until=NOW, components={}, releases={},
        policy=None, log=LogPosition("", 0), seen=NONE, audit={},
    )  # fmt: skip
    plane.attesters.intake.take(ID, (Line("attestation", sign_attestation(attestation, key)),))


def state(plane, key):
    statement = Search(
        iss=ID, iat=NOW, seen=NONE, request="", subject=SUBJECT, seq=1, after=After(1, 1, FIRST), applied_at=NOW,
        trails={}, records=0, of_person=0, personalised_before_applied=0, personalised_after=0,
    )  # fmt: skip
    plane.attesters.intake.take(ID, (Line("statement", sign_statement(statement, key)),))


def flush(plane, _):
    plane.attesters.statements.flush()


def destroy(plane, _):
    with plane.database.write() as connection:
        plane.proofs.destroy(connection, SUBJECT)


ACTIONS = {action.__name__: action for action in (attest, state, flush, destroy)}


def enrol(directory):
    """A control plane that has endorsed the place's key."""
    key, plane = AttesterKey.open(directory), opened(directory)
    plane.attesters.endorsing.endorse(ID, AttesterRequest(key.public_key, key.sign(proof_message(ID))))
    plane.close()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    running = opened(place, later=60)
    ACTIONS[sys.argv[2]](running, AttesterKey.open(place))
    running.close()
