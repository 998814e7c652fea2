"""A data folder of version 0.1.0 starts under this build: consents, denials, audit and keys as they were.

`version_1.tar.xz` is what that version left on disk; `make_data_folder.py` says who is in it and how it was made.
"""

import asyncio
import json
import tarfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from consent_core.audit.reader import AuditRecord
from consent_core.audit.writer import AuditWriter
from consent_core.clock import ManualClock
from consent_core.formats.token import CATEGORIES
from consent_core.trust.providers.selection import open_provider
from control_plane.app import ControlPlane, create_app
from control_plane.audit import audited
from control_plane.audit import open_audit as open_plane_audit
from control_plane.settings import Settings
from edge_cli.audit import read_trail
from edge_cli.edge import app
from runtime_host.pop.app import Pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.process.loading import PopPlaces, open_audit
from tests.runtime_host.pop.edge import TOKEN_COOKIE
from tests.runtime_host.pop.shop import Browser, Cable, make_pop

HERE = Path(__file__).parent
WRITERS = ("control-plane", "tokyo-1")
KEPT = ("keys/*.json", "keyring/*.json", "ca/*.pem", "pops/tokyo-1/pop.key", "rendition.key")
MEMBER = "/v1/slots/member-banner"
TILE = "/v1/slots/promo-tile"


@dataclass
class Deployment:
    """The control plane and the POP of a data folder, each with its audit trail, and the browsers of that time."""

    data: Path
    left: dict[str, Any] = field(init=False)
    clock: ManualClock = field(init=False)
    plane: ControlPlane = field(init=False)
    cable: Cable = field(init=False)
    pop: Pop = field(init=False)
    trails: list[AuditWriter] = field(init=False)

    def __post_init__(self) -> None:
        self.left = json.loads((self.data / "browsers.json").read_text())
        self.clock = ManualClock(wall=self.left["now"])
        settings = Settings(data=self.data, clock=self.clock)
        self.plane = create_app(settings)
        config, places = PopConfig(pop="tokyo-1", data=self.data), PopPlaces(self.data, self.data, self.data)
        self.trails = [open_plane_audit(settings), open_audit(config, places, self.clock)]
        self.cable = Cable(self.plane)
        self.cable._inner = httpx.ASGITransport(audited(self.plane.mesh_app, self.trails[0], "mesh"))
        self.pop = make_pop(self.data, self.plane, self.cable, self.clock, self.trails[1])

    def browser(self, name: str, token: str | None = None) -> Browser:
        """As it was then. `token`: another one in place of its last."""
        jar = {cookie: (value, path) for cookie, (value, path) in self.left["cookies"][name].items()}
        if token is not None:
            jar[TOKEN_COOKIE] = (token, "/")
        return Browser(self.pop, jar=jar)

    async def shown(self, name: str, token: str | None = None) -> tuple[str, ...]:
        """The category of the decision that this browser sees in a slot of each category."""
        browser = self.browser(name, token)
        return await browser.shown(), await browser.shown(MEMBER), await browser.shown(TILE)

    async def sync(self) -> None:
        await self.pop.sync.fetch_policy()
        await self.pop.sync.fetch_keys()
        await self.pop.sync.poll()

    async def stop(self) -> None:
        await self.pop.stop()
        for trail in self.trails:
            trail.close()
        self.plane.close()


@dataclass(frozen=True)
class Upgrade:
    """What version 0.1.0 left, read before the start, and what runs over it now."""

    deployment: Deployment
    files: dict[Path, bytes]
    records: dict[str, list[AuditRecord]]
    unheard: dict[str, tuple[str, ...]]  # what each visitor sees before the POP has spoken to the control plane
    run: Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    directory = tmp_path_factory.mktemp("version-1")
    with tarfile.open(HERE / "version_1.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    data = directory / "data"
    files = {path: path.read_bytes() for pattern in KEPT for path in data.glob(pattern)}
    records = {writer: records_of(data, writer) for writer in WRITERS}
    with asyncio.Runner() as runner:
        deployment = Deployment(data)
        deployment.cable.cut = True
        unheard = {name: runner.run(deployment.shown(name)) for name in deployment.left["cookies"]}
        deployment.cable.cut = False
        runner.run(deployment.sync())
        yield Upgrade(deployment, files, records, unheard, runner.run)
        runner.run(deployment.stop())


def records_of(data: Path, writer: str) -> list[AuditRecord]:
    return list(read_trail(data, writer, open_provider("keyring", data, None), event="all"))


def test_before_the_first_poll_everybody_gets_the_default(upgrade):
    """The old folder opens closed: a POP that has not heard the log since its start shows defaults alone."""
    assert set(upgrade.unheard.values()) == {("default",) * 3}


def test_a_token_issued_before_still_verifies_and_decides(upgrade):
    """Same keys, same policy: the cookie that version 0.1.0 set decides in every category it was given for."""
    assert upgrade.run(upgrade.deployment.shown("anna")) == CATEGORIES


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("bert", ("contextual", "contextual", "default")),
        ("carl", ("default",) * 3),
        ("dora", ("default",) * 3),
    ],
)
def test_a_token_from_before_a_no_gets_what_the_no_left(upgrade, name, sees):
    """A no that the control plane had, one that waited at the POP, and a purge: each denies the tokens it denied."""
    token = upgrade.deployment.left["tokens"][name]

    assert upgrade.run(upgrade.deployment.shown(name, token)) == sees


@pytest.mark.parametrize(
    ("name", "ver", "choices"),
    [("anna", 1, list(CATEGORIES)), ("bert", 2, ["contextual"]), ("carl", 2, [])],
)
def test_a_session_of_before_finds_its_record_and_gets_a_token(upgrade, name, ver, choices):
    """The cookie with a secret of version 0.1.0 is still the visitor's; carl's record holds the no that had waited."""
    state = upgrade.run(upgrade.deployment.browser(name).ask("POST", "/v1/consent/refresh", {}))

    assert (state.status, state.json()["ver"], state.json()["choices"]) == (200, ver, choices)


def test_a_purged_visitor_stays_purged(upgrade):
    """No record, no session, no token; what the trails say of her stays unreadable."""
    deployment = upgrade.deployment
    refused = upgrade.run(deployment.browser("dora").ask("POST", "/v1/consent/refresh", {}))

    assert refused.status in (401, 404)
    for writer in WRITERS:
        shredded = [record.seq for record in upgrade.records[writer] if record.shredded]
        now = {record.seq: record for record in records_of(deployment.data, writer)}
        assert shredded
        assert all(now[seq].shredded for seq in shredded)


def test_every_key_is_the_one_it_was(upgrade):
    """Signing keys, the keyring, the CA, the POP's key and the key of picture names: byte for byte, none replaced."""
    assert len(upgrade.files) >= len(KEPT)
    assert {path: path.read_bytes() for path in upgrade.files} == upgrade.files


def test_the_trail_goes_on_where_it_ended(upgrade):
    """Every record of version 0.1.0 reads as it did, and new ones follow in the same chain."""
    deployment = upgrade.deployment
    upgrade.run(deployment.shown("anna"))

    for writer in WRITERS:
        now = records_of(deployment.data, writer)
        before = upgrade.records[writer]
        assert now[: len(before)] == before
        assert len(now) > len(before)


def test_edge_audit_verify_passes(upgrade):
    """The command finds both trails whole: the old records, the new ones, and what the POP once reported."""
    verdict = CliRunner().invoke(app, ["audit", "verify", "--data", str(upgrade.deployment.data), "--json"])

    assert verdict.exit_code == 0, verdict.output
    assert json.loads(verdict.stdout)["ok"] is True
