"""The control plane's word at this edge: fetched, verified, and kept for a moment where the instance lives on.

A host that makes an instance per request fetches per request. Whatever goes wrong, the answer is "not in sync".
"""

from componentize_py_types import Err
from settings import Settings
from wit_world.imports import outgoing_handler
from wit_world.imports.types import Fields, IncomingBody, OutgoingRequest, RequestOptions, Scheme_Http, Scheme_Https
from wit_world.imports.wall_clock import now as wall_time

from consent_core.errors import Unavailable
from consent_core.formats.edge_state import MAX_AGE_S, MAX_BYTES, EdgePolicy, EdgeState, open_edge_state

PATH = "/v1/edge-state"
TIMEOUT_NS = 500_000_000
CHUNK = 65_536
SCHEMES = {"http": Scheme_Http, "https": Scheme_Https}


class Knowledge:
    """One state as the rules for tokens want it (`consent_core.decision.seams.TrustState`)."""

    def __init__(self, state: EdgeState) -> None:
        self.state = state

    @property
    def policy(self) -> EdgePolicy:
        """The policy in force."""
        return self.state.policy

    def in_sync(self) -> bool:
        """Whether the state still counts; it was looked at when it was opened."""
        return True

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` or `unknown`."""
        if policy_hash == self.policy.hash:
            return "current"
        return "older" if policy_hash in self.policy.older else "unknown"

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that tokens of this subject at this `ver` have lost."""
        return self.state.denials(subject, ver)

    def request_sync(self) -> None:
        """Nothing: a newer policy is in the next state."""


_kept: tuple[int, Knowledge] | None = None  # when it was fetched, and what it said


def now() -> int:
    """Unix seconds, by the host's clock."""
    return int(wall_time().seconds)


def learn(settings: Settings) -> Knowledge:
    """What is in force now. Raises: Untrusted or Unavailable where nothing can be said."""
    global _kept
    seconds = now()
    if _kept is not None:
        fetched, known = _kept
        if 0 <= seconds - fetched < settings.keep_s and seconds - known.state.at < MAX_AGE_S:
            return known
    known = Knowledge(open_edge_state(_fetch(settings), settings.trust, seconds, settings.trust.revoked))
    _kept = (seconds, known)
    return known


def _fetch(settings: Settings) -> bytes:
    """The body of one GET to the control plane; nowhere else does this component ever call."""
    try:
        return _get(settings)
    except Err as error:
        raise Unavailable("control-plane-unreachable", f"no edge state: {type(error.value).__name__}") from None


def _get(settings: Settings) -> bytes:
    request = OutgoingRequest(Fields.from_list([("accept", b"*/*")]))
    request.set_scheme(SCHEMES[settings.scheme]())
    request.set_authority(settings.authority)
    request.set_path_with_query(PATH)
    options = RequestOptions()
    for limit in (options.set_connect_timeout, options.set_first_byte_timeout, options.set_between_bytes_timeout):
        limit(TIMEOUT_NS)
    with outgoing_handler.handle(request, options) as coming:
        with coming.subscribe() as ready:
            ready.block()
        answered = coming.get()
        assert answered is not None
        response = _value(_value(answered))
        with response:
            if response.status() != 200:
                raise Unavailable("control-plane-failed", f"no edge state: {response.status()}")
            return _read(response.consume())


def _value(result):
    if isinstance(result, Err):
        raise result
    return result.value


def _read(body: IncomingBody) -> bytes:
    parts = bytearray()
    with body, body.stream() as stream:
        while True:
            try:
                parts += stream.blocking_read(CHUNK)
            except Err:
                return bytes(parts)
            if len(parts) > MAX_BYTES:
                raise Unavailable("control-plane-oversize", "the edge state is too long")
