"""One action on a control plane, in a process of its own that a crash point may kill."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.crash import arm
from consent_core.formats.consent import ConsentRequest
from consent_core.formats.kept import END, Kept
from consent_core.formats.revocation import subject_of
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.session import Credentials, credentials_of, stored, write_secret
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import WithdrawalRow
from control_plane.app import ControlPlane, create_app
from control_plane.log.log import ROWS_GONE_S
from control_plane.settings import Settings

POP = "tokyo-1"
OLD, NEW = (credentials_of(write_secret(byte * 32).encode()) for byte in (b"\x0a", b"\x0b"))
BUNDLE = "next-bundle.tar.gz"
STATE = "state.json"


def visitor(plane: ControlPlane) -> str:
    """The visitor every action is about, made before the first one."""
    file = plane.settings.data / STATE
    if not file.exists():
        answer = plane.consents.grant(_yes(None, OLD, "first-yes-0123456", CATEGORIES))
        file.write_text(json.dumps({"sub": answer.sub, "kid": plane.keys.current("token").kid}))
    return str(json.loads(file.read_text())["sub"])


def _yes(session: str | None, following: Credentials, key: str, grant: tuple[str, ...]) -> ConsentRequest:
    hashes = stored(following.grant), stored(following.withdraw)
    return ConsentRequest(session, *hashes, key, grant, "EU", False, "adult", POP)


def grant(plane: ControlPlane) -> None:
    """Under the age of choice by now: what was effective is lost."""
    yes = _yes(OLD.grant, NEW, "second-yes-012345", ("behavioral",))
    plane.consents.grant(replace(yes, age_band="under-13"))


def withdraw(plane: ControlPlane) -> None:
    plane.consents.withdraw_many([WithdrawalRow("k" * 22, OLD.withdraw, None, None, None, None, POP, 0)])


def revoke(plane: ControlPlane) -> None:
    plane.revoking.revoke(RevocationRequest("session", subject_of(visitor(plane)), CATEGORIES))


def purge(plane: ControlPlane) -> None:
    plane.revoking.revoke(RevocationRequest("purge", subject_of(visitor(plane)), CATEGORIES))


def revoke_key(plane: ControlPlane) -> None:
    kid = json.loads((plane.settings.data / STATE).read_text())["kid"]
    plane.revoking.revoke(RevocationRequest("key", kid))


def publish(plane: ControlPlane) -> None:
    plane.policies.publish((plane.settings.data / BUNDLE).read_bytes())


def prune(plane: ControlPlane) -> None:
    plane.settings.clock.advance(ROWS_GONE_S + 1)  # type: ignore[attr-defined]
    plane.log.prune()


def collect(plane: ControlPlane) -> None:
    """The last POP's delivery to a store that collects."""
    plane.collecting.take(POP, [Kept(END, b"")])


def start(plane: ControlPlane) -> None:
    """Nothing but opening the store."""


ACTIONS = {
    action.__name__: action for action in (grant, withdraw, revoke, purge, revoke_key, publish, prune, collect, start)
}


def settings(data: Path, url: str | None = None) -> Settings:
    return Settings(data=data, database_url=url, clock=ManualClock())


def act(action: str, data: Path, url: str | None) -> None:
    """Do it."""
    ACTIONS[action](create_app(settings(data, url)))


def _act_until(point: str, action: str, data: Path, url: str | None) -> None:
    arm(point)
    act(action, data, url)


def run(action: str, data: Path, url: str | None, point: str) -> int | None:
    """Do it in a child process that dies at `point`; how the child ended.

    Children are forked from a server that has everything imported and no threads.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_act_until, args=(point, action, data, url))
    child.start()
    child.join(600)
    return child.exitcode
