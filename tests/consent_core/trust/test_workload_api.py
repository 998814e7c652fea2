"""SPIRE through the Workload API: a real gRPC server on a Unix socket stands in for its agent."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from spiffe import TrustDomain, X509Bundle, X509BundleSet, X509Svid
from spiffe._proto import workload_pb2, workload_pb2_grpc
from spiffe.workloadapi.x509_context import X509Context

from consent_core.clock import SystemClock
from consent_core.errors import Unavailable, Untrusted
from consent_core.trust.svid import DevelopmentCa, Svid
from consent_core.trust.svid_source import open_source
from consent_core.trust.workload_api import WorkloadApiSource, _svid_of

from .conftest import POP, Forge, Forgery

STREAMS = 4  # that the agent serves at a time


class Agent(workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    """Streams each SVID it is given, as SPIRE's agent does; `None` ends the stream."""

    def __init__(self) -> None:
        self.given: queue.SimpleQueue[Svid | None] = queue.SimpleQueue()

    def FetchX509SVID(  # noqa: N802  # the name in workload.proto
        self, request: object, context: grpc.ServicerContext
    ) -> Iterator[workload_pb2.X509SVIDResponse]:
        assert ("workload.spiffe.io", "true") in context.invocation_metadata()
        while (svid := self.given.get()) is not None:
            yield _response(svid)


def _response(svid: Svid) -> workload_pb2.X509SVIDResponse:
    key = load_pem_private_key(svid.key_pem, None)
    return workload_pb2.X509SVIDResponse(
        svids=[
            workload_pb2.X509SVID(
                spiffe_id=str(POP),
                x509_svid=b"".join(certificate.public_bytes(Encoding.DER) for certificate in svid.chain),
                x509_svid_key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
                bundle=b"".join(certificate.public_bytes(Encoding.DER) for certificate in svid.bundle),
            )
        ]
    )


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """A stand-in agent at `tmp_path/agent.sock`."""
    agent = Agent()
    server = grpc.server(ThreadPoolExecutor(STREAMS))
    workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(agent, server)
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    server.start()
    yield agent
    for _ in range(STREAMS):  # a thread that still waits would hold the process at its exit
        agent.given.put(None)
    server.stop(None).wait()


def test_the_newest_svid_of_the_stream_is_current(agent: Agent, ca: DevelopmentCa, tmp_path: Path) -> None:
    """The first one makes the source ready, each later one replaces it; key and bundle come along."""
    first, second = ca.issue(POP), ca.issue(POP)
    agent.given.put(first)
    source = open_source(tmp_path, POP, endpoint_socket=f"unix:{tmp_path}/agent.sock")
    assert isinstance(source, WorkloadApiSource)
    assert source.current() == first
    agent.given.put(second)
    arrived = threading.Event()
    while source.current() == first:
        arrived.wait(0.005)

    assert source.current() == second
    source.refresh()
    source.close()


def test_a_stream_that_ended_for_good_is_said_and_begun_again(agent: Agent, ca: DevelopmentCa, tmp_path: Path) -> None:
    """The next look says why SVIDs stopped, the one after finds the stream that was begun meanwhile; the SVID stays."""
    first, second = ca.issue(POP), ca.issue(POP)
    agent.given.put(first)
    source = WorkloadApiSource(f"unix:{tmp_path}/agent.sock", "ui-tools", SystemClock())
    source._failed(RuntimeError("gave up"))

    with pytest.raises(Unavailable, match="stream of SVIDs ended") as refusal:
        source.refresh()
    assert refusal.value.code == "workload-api"
    assert source.current() == first
    source.refresh()
    arrived = threading.Event()
    while source.current() == first:
        agent.given.put(second)  # the first stream's agent may take some before it hears that its reader has gone
        arrived.wait(0.005)
    source.close()


@pytest.mark.parametrize(
    "forgery",
    [
        Forgery(uris=("spiffe://elsewhere/edge/x",)),
        Forgery(uris=("spiffe://ui-tools/admin/x",)),
        Forgery(starts_in_s=-99, ends_in_s=-9),
    ],
)
def test_an_svid_against_our_rules_is_not_used(agent: Agent, forge: Forge, forgery: Forgery, tmp_path: Path) -> None:
    """Our own checks stand in front of the library's."""
    agent.given.put(forge(forgery))

    with pytest.raises(Unavailable) as refusal:
        WorkloadApiSource(f"unix:{tmp_path}/agent.sock", "ui-tools", SystemClock())

    assert refusal.value.code == "workload-api"


@pytest.mark.parametrize("authorities", [None, "none", "of another domain"])
def test_an_answer_without_an_authority_of_our_domain_is_not_used(ca: DevelopmentCa, authorities: str | None) -> None:
    """An SVID that nothing verifies would make every peer a stranger, or everybody a friend."""
    svid, ours, other = ca.issue(POP), TrustDomain("ui-tools"), TrustDomain("elsewhere")
    received = X509Svid.parse_raw(
        b"".join(certificate.public_bytes(Encoding.DER) for certificate in svid.chain),
        load_pem_private_key(svid.key_pem, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )
    bundles = {
        None: {ours: X509Bundle(ours, set(svid.bundle))},
        "none": {ours: X509Bundle(ours, set())},
        "of another domain": {other: X509Bundle(other, set(svid.bundle))},
    }[authorities]
    context = X509Context([received], X509BundleSet(bundles))
    if authorities is None:
        assert _svid_of(context, "ui-tools", SystemClock().now()) == svid
        return
    with pytest.raises(Untrusted, match="no authority for ui-tools") as refusal:
        _svid_of(context, "ui-tools", SystemClock().now())
    assert refusal.value.code == "svid-malformed"


def test_a_stream_without_an_authority_gives_no_identity(agent: Agent, ca: DevelopmentCa, tmp_path: Path) -> None:
    """Over the wire: the process does not start."""
    svid = ca.issue(POP)
    agent.given.put(Svid(svid.chain, svid.key_pem, ()))

    with pytest.raises(Unavailable):
        WorkloadApiSource(f"unix:{tmp_path}/agent.sock", "ui-tools", SystemClock())


def test_without_an_agent_there_is_no_identity(tmp_path: Path) -> None:
    """A socket that is not there is said so at once."""
    with pytest.raises(Unavailable) as refusal:
        WorkloadApiSource(f"unix:{tmp_path}/agent.sock", "ui-tools", SystemClock())

    assert refusal.value.code == "workload-api"


def test_a_silent_agent_is_given_up(agent: Agent, tmp_path: Path) -> None:
    """Start-up does not hang for ever on an agent that has nothing for us."""
    with pytest.raises(Unavailable):
        WorkloadApiSource(f"unix:{tmp_path}/agent.sock", "ui-tools", SystemClock(), timeout_s=0.05)
