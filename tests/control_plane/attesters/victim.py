"""One action on a control plane's proofs and attesters, in a process of its own that a crash point may kill."""

import multiprocessing
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.crash import arm
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


def _act(directory: Path, action: str, point: str, later: int) -> None:
    arm(point)
    plane = opened(directory, later)
    ACTIONS[action](plane, AttesterKey.open(directory))
    plane.close()


def run(directory: Path, action: str, point: str = "", later: int = 60) -> int | None:
    """How the child ended: -9 at the point, 0 where it did not come there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_act, args=(directory, action, point, later))
    child.start()
    child.join(600)
    return child.exitcode
