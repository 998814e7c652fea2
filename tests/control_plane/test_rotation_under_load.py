"""A POP's calls over the real mesh while both sides rotate their SVIDs and the token key rotates: none fails."""

import asyncio
from pathlib import Path

import pytest

from consent_core.clock import SystemClock
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, serial_name
from consent_core.trust.svid_source import DevelopmentSource, rotate_forever
from control_plane.process import serving
from control_plane.settings import Settings

TTL_S = 4  # rotated after two seconds
POP = SpiffeId.of("ui-tools", "edge", "tokyo-1")


@pytest.mark.slow
def test_no_request_fails_over_two_svid_rotations_and_one_key_rotation(tmp_path: Path) -> None:
    """Eight callers without a pause for longer than two half lives of certificates that live four seconds."""
    clock, serials = SystemClock(), set[str]()
    settings = Settings(data=tmp_path, public_port=0, mesh_port=0, clock=clock, svid_ttl_s=TTL_S)

    async def ask(client, done: asyncio.Event) -> int:
        count = 0
        while not done.is_set():
            answer = await client.get("/v1/policy/bundle", headers={"if-none-match": "*"})
            assert answer.status_code in (200, 304), answer.text
            answer = await client.get("/.well-known/jwks.json")
            assert answer.status_code == 200, answer.text
            count += 2
        return count

    async def scenario() -> None:
        async with serving(settings) as running:
            ca = DevelopmentCa.open(tmp_path, "ui-tools", clock=clock)
            source = DevelopmentSource(ca, POP, tmp_path / "svid" / "edge-tokyo-1", TTL_S, clock)
            rotation = asyncio.create_task(rotate_forever(source, clock))
            url, done = f"https://127.0.0.1:{running.mesh_port}", asyncio.Event()
            async with mesh_client(source, clock, url, role="control-plane") as client:
                asking = [asyncio.create_task(ask(client, done)) for _ in range(8)]
                for second in range(6):
                    serials.add(serial_name(source.current().leaf))
                    await asyncio.sleep(1)
                    if second == 3:
                        running.plane.keys.rotate("token", overlap_s=600)
                done.set()
                counts = await asyncio.gather(*asking)
            rotation.cancel()
        assert min(counts) > 0

    asyncio.run(scenario())
    assert len(serials) >= 3
