"""TLS of the mesh: 1.3 and nothing older, whichever side asks; certificates in both directions, no resumption."""

import ssl
import tempfile

import pytest

from consent_core.clock import SystemClock
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, Svid
from consent_core.trust.tls import client_context, server_context

from .conftest import POP

PLANE = SpiffeId.of("ui-tools", "control-plane", "main")


class Source:
    """One SVID, always the same."""

    def __init__(self, svid: Svid) -> None:
        self._svid = svid

    def current(self) -> Svid:
        return self._svid

    def refresh(self) -> None:
        """Never."""


def plain(svid: Svid | None, side: int, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """The other side, as lenient as Python allows: it speaks every version up to `newest`."""
    context = ssl.SSLContext(side)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    if svid is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(svid.key_pem + svid.chain_pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """The version that a handshake between the two in memory agrees on. Raises: ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    done: set[int] = set()
    for _ in range(20):
        for number, side in enumerate(sides):
            try:
                side.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError as waits:
                if isinstance(waits.__cause__, ssl.SSLError):  # ours holds its refusal until the alert is out
                    raise waits.__cause__ from None
        if len(done) == len(sides):
            return sides[1].version()
    raise AssertionError("no end")


@pytest.fixture
def ours(ca: DevelopmentCa) -> Source:
    return Source(ca.issue(PLANE))


def test_both_sides_of_ours_agree_on_1_3(ca: DevelopmentCa, ours: Source) -> None:
    """The way it is meant; the lenient other side below gets through as well, so what is refused is the version."""
    caller = Source(ca.issue(POP))

    assert shaken(server_context(ours), client_context(caller, SystemClock(), role="control-plane")) == "TLSv1.3"
    other = plain(ca.issue(POP), ssl.PROTOCOL_TLS_CLIENT, ssl.TLSVersion.TLSv1_3)
    assert shaken(server_context(ours), other) == "TLSv1.3"


def test_a_client_of_1_2_is_refused(ca: DevelopmentCa, ours: Source) -> None:
    """With a good certificate all the same."""
    old = plain(ca.issue(POP), ssl.PROTOCOL_TLS_CLIENT, ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"):
        shaken(server_context(ours), old)


def test_a_server_of_1_2_is_refused(ca: DevelopmentCa, ours: Source) -> None:
    """A client does not let itself be talked down."""
    old = plain(ca.issue(PLANE), ssl.PROTOCOL_TLS_SERVER, ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"):
        shaken(old, client_context(Source(ca.issue(POP)), SystemClock(), role="control-plane"))


def test_contexts_of_every_svid_are_as_strict(ours: Source) -> None:
    """What a library holds, and what each handshake gets."""
    for context in (server_context(ours), client_context(ours, SystemClock(), role="edge")):
        for held in (context, context.newest()):  # type: ignore[attr-defined]
            assert held.minimum_version == ssl.TLSVersion.TLSv1_3
            assert held.verify_mode == ssl.CERT_REQUIRED
            assert held.options & ssl.OP_NO_TICKET
            if held.protocol == ssl.PROTOCOL_TLS_SERVER:
                assert held.num_tickets == 0
