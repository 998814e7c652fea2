"""Makes `version_1.tar.xz`: a data folder as version 0.1.0 left it. It runs under that version, not under this one:

    git worktree add /tmp/version-1 07d238b
    cd /tmp/version-1/tests/runtime_host/pop
    PYTHONPATH=/tmp/version-1:. python THIS_FILE version_1.tar.xz

One control plane, the POP tokyo-1 and four visitors: anna says yes to all; bert says yes to two categories and no to
one of them; carl says no while the control plane is away, so that his no waits at the POP; an operator purges dora.
Both trails record it. `browsers.json` beside the data holds the cookies. The keys sign nothing but this fixture.
"""

import asyncio
import json
import sys
import tarfile
import tempfile
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx
from edge import make_catalogue, native_functions
from shop import Browser, Cable

from consent_core.clock import ManualClock
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.svid import DevelopmentCa
from control_plane.app import create_app
from control_plane.audit import Shredding, recorded
from control_plane.audit import open_audit as open_plane_audit
from control_plane.revocations.revoking import RevocationRequest
from control_plane.settings import Settings
from runtime_host.pop.app import Parts, build_pop
from runtime_host.pop.config import PopConfig
from runtime_host.pop.process import Places, identity_of, open_audit
from runtime_host.pop.sync import SyncConfig

TOKEN_COOKIE = "__Host-consent-token"


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "data"
        browsers = asyncio.run(live(home, Path(scratch) / "art"))
        (home / "browsers.json").write_text(json.dumps(browsers, indent=1, sort_keys=True))
        with tarfile.open(archive, "w:xz") as tar:
            tar.add(home, "data", filter=without_owner)


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """An archive says what was in the folder and not on whose machine."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


async def live(data: Path, art: Path) -> dict[str, object]:
    """A deployment from its first start to an orderly stop; what the browsers hold then."""
    clock = ManualClock()
    settings = Settings(data=data, clock=clock)
    plane = create_app(settings)
    plane_audit = open_plane_audit(settings)
    trust = plane.keys.trust_file()
    DevelopmentCa.open(data, trust.trust_domain, create=True, clock=clock)
    cable = Cable(plane)
    cable._inner = httpx.ASGITransport(recorded(plane.mesh_app, plane_audit, "mesh"))
    config, places = PopConfig(pop="tokyo-1", data=data, jurisdiction="EU"), Places(art, art, art)
    identity_of(config, places, trust, clock).source.current()
    pop_audit = open_audit(config, places, clock)
    validator, personalizer = native_functions()
    parts = Parts(
        trust=trust,
        catalogue=make_catalogue(art),
        validator=validator,
        personalizers=dict.fromkeys(CATEGORIES, personalizer),
        client=httpx.AsyncClient(transport=cable, base_url="http://control-plane"),
        sites={},
        audit=pop_audit,
        sync=SyncConfig(pop=config.pop, home=config.home, push=False),
    )
    pop = build_pop(config, parts, clock)

    async def sync() -> None:
        clock.wall += 1
        await pop.sync.fetch_policy()
        await pop.sync.fetch_keys()
        await pop.sync.poll()

    await sync()
    browsers = {name: Browser(pop) for name in ("anna", "bert", "carl", "dora")}
    await browsers["anna"].grant(*CATEGORIES)
    for name in ("bert", "carl", "dora"):
        await browsers[name].grant("contextual", "behavioral")
    tokens = {name: browser.jar[TOKEN_COOKIE][0] for name, browser in browsers.items()}
    for browser in browsers.values():
        clock.wall += 1
        assert await browser.shown() == "contextual"
    assert (await browsers["bert"].withdraw("behavioral")).status == 200
    plane.revoking.revoke(RevocationRequest("purge", subject_of(claims(tokens["dora"])["sub"])))
    Shredding(plane.log, plane_audit)()
    await sync()
    cable.cut = True
    said = await browsers["carl"].withdraw()
    assert said.status == 202, said.body
    await pop.stop()
    pop_audit.close()
    plane_audit.close()
    plane.close()
    return {"cookies": {name: browser.jar for name, browser in browsers.items()}, "tokens": tokens, "now": clock.wall}


def claims(token: str) -> dict[str, str]:
    body = token.split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
