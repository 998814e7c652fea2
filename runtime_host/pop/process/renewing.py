"""A POP that joined with a code gets its next certificate from the control plane, at half the life of the last.

The lead alone asks, under the certificate it has; every process of the POP reads the files again (`FileSource`).
While the control plane is away the POP asks on, once a minute; its certificate lasts as long again.
"""

import asyncio
import json
import logging
from pathlib import Path

import httpx
from cryptography import x509

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.token import encode_base64url
from consent_core.trust.svid import Svid, new_key, public_der

LOG = logging.getLogger("consent_edge.pop")

JOINED = "joined"  # beside the SVID: who issues the next one is the control plane
CHECK_S = 60.0


async def renew_forever(directory: Path, client: httpx.AsyncClient, clock: Clock) -> None:
    """Keep the SVID in `directory` young, if this POP joined with a code; else return."""
    if not (directory / JOINED).exists():
        return
    while True:
        current = Svid.read(directory)
        if clock.now() >= current.half_life:
            try:
                (await renewed(current, client)).write(directory)
            except (ConsentEdgeError, httpx.HTTPError) as error:
                LOG.warning("renewing the certificate: %s", error)
        await asyncio.sleep(CHECK_S)


async def renewed(current: Svid, client: httpx.AsyncClient) -> Svid:
    """The next SVID. Raises: Unavailable("enrolment-renewal"), Untrusted("enrolment-answer")."""
    key = new_key()
    body = canonical_json({"public_key": encode_base64url(public_der(key))})
    answer = await client.post("/v1/svid", content=body)
    if not answer.is_success:
        raise Unavailable("enrolment-renewal", f"the control plane answered {answer.status_code}")
    try:
        value = json.loads(answer.content)
        svid = Svid.of_pem(value["chain"].encode(), key, value["bundle"].encode())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Untrusted("enrolment-answer", "the control plane answered with no certificate") from error
    if svid.spiffe_id != current.spiffe_id or not _is_for(svid.leaf, key):
        raise Untrusted("enrolment-answer", "the certificate is another workload's, or of another key")
    return svid


def _is_for(leaf: x509.Certificate, key: object) -> bool:
    return bool(leaf.public_key() == key.public_key())  # type: ignore[attr-defined]
