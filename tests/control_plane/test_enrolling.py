"""One-time codes: one use, an end, one name, one refusal; and certificates that only their holder renews."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.errors import ConsentEdgeError, Rejected, Untrusted
from consent_core.formats.enrolment import (
    CodeKeys,
    enrolment_request,
    open_answer,
    read_code,
    read_enrolment,
    write_code,
    write_enrolment,
)
from consent_core.formats.token import encode_base64url
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, Svid, check_certificate, lifetime, new_key, public_der
from consent_core.trust.trust_file import TrustFile
from control_plane.app import ControlPlane, create_app
from control_plane.settings import Settings
from runtime_host.pop.process.renewing import JOINED, renew_forever, renewed
from tests.control_plane.conftest import Caller

PARIS = SpiffeId.of("ui-tools", "edge", "paris-1")
REFUSED = (403, "enrolment-refused")


@pytest.fixture
def plane(settings: Settings) -> ControlPlane:
    """A control plane with a development CA."""
    DevelopmentCa.open(settings.data, "ui-tools", create=True, clock=settings.clock)
    plane = create_app(settings)
    yield plane
    plane.close()


@pytest.fixture
def operator(plane) -> Caller:
    return Caller(plane.mesh_app, SpiffeId.of("ui-tools", "operator", "ann"))


def invite(operator: Caller, pop: str = "paris-1", valid_s: int = 900) -> str:
    answer = operator("POST", "/v1/enrolments", json={"pop": pop, "valid_s": valid_s})
    assert answer.status_code == 200
    return answer.json()["code"]


def ask(public: Caller, request) -> tuple[int, str | bytes]:
    answer = public("POST", "/v1/enrol", content=write_enrolment(request))
    return answer.status_code, answer.content if answer.is_success else answer.json()["error"]["code"]


def request_of(code: str, **changed):
    pop, secret = read_code(code)
    return replace(enrolment_request(pop, secret, public_der(new_key())), **changed)


def test_a_code_gives_an_identity_and_what_goes_with_it(plane, operator, public):
    """A certificate of our CA for the key that the machine made, the trust file, and the deployment's rendition key."""
    code, key = invite(operator), new_key()
    pop, secret = read_code(code)
    request = enrolment_request(pop, secret, public_der(key))
    status, body = ask(public, request)
    answer = open_answer(body, request, CodeKeys.of(secret))
    svid = Svid.of_pem(answer.chain.encode(), key, answer.bundle.encode())

    assert status == 200
    assert check_certificate(svid.leaf, "ui-tools", plane.settings.clock.now()) == PARIS
    assert svid.leaf.public_key() == key.public_key()
    svid.leaf.verify_directly_issued_by(svid.bundle[0])
    assert TrustFile.from_bytes(answer.trust.encode()) == plane.keys.trust_file()
    assert answer.rendition_key == encode_base64url((plane.settings.data / "rendition.key").read_bytes())
    assert lifetime(svid.leaf)[1] - plane.settings.clock.now() == plane.settings.joined_svid_ttl_s


def test_nothing_on_the_wire_gives_the_code_or_the_rendition_key(plane, operator, public):
    """Neither listener needs TLS for that."""
    code = invite(operator)
    _, secret = read_code(code)
    request = request_of(code)
    _, body = ask(public, request)
    wire = write_enrolment(request) + body

    for needle in (secret, (plane.settings.data / "rendition.key").read_bytes(), CodeKeys.of(secret).key):
        assert needle not in wire
        assert encode_base64url(needle).encode() not in wire


def test_a_code_is_used_once(operator, public):
    """Also by whoever made the first request."""
    request = request_of(invite(operator))

    assert ask(public, request)[0] == 200
    assert ask(public, request) == REFUSED


def test_a_code_is_used_once_by_many_at_the_same_moment(either_plane):
    """On each kind of store, eight threads at once: one wins."""
    DevelopmentCa.open(either_plane.settings.data, "ui-tools", create=True, clock=either_plane.settings.clock)
    public = Caller(either_plane.public_app)
    code = invite(Caller(either_plane.mesh_app))
    requests = [request_of(code) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: ask(public, request), requests))

    assert sorted(status for status, _ in answers) == [200, *[403] * 7]


def test_a_code_ends(plane, operator, public):
    """To the second; and an unused one is no longer in the store after the next invitation."""
    clock = plane.settings.clock
    assert isinstance(clock, ManualClock)
    early, late = request_of(invite(operator, "lyon-1", 60)), request_of(invite(operator, "paris-1", 60))
    clock.advance(59)
    assert ask(public, early)[0] == 200
    clock.advance(1)
    assert ask(public, late) == REFUSED
    invite(operator, "nice-1")
    with plane.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT pop FROM enrolments").scalars().all()
    assert rows == ["nice-1"]


def test_a_new_code_ends_the_one_before(operator, public):
    """A code that was sent to the wrong person is taken back by another."""
    first, second = invite(operator), invite(operator)

    assert ask(public, request_of(first)) == REFUSED
    assert ask(public, request_of(second))[0] == 200


def _another_name(code):
    _, secret = read_code(code)
    return enrolment_request("tokyo-1", secret, public_der(new_key()))


def _another_key(code):
    return request_of(code, public_key=encode_base64url(public_der(new_key())))


def _guessed(code):
    return enrolment_request("paris-1", bytes(32), public_der(new_key()))


def _guessed_for_the_id(code):
    return replace(_guessed(code), id=request_of(code).id)


def _no_mac(code):
    return request_of(code, mac="A")


@pytest.mark.parametrize("forge", [_another_name, _another_key, _guessed, _guessed_for_the_id, _no_mac])
def test_a_forged_request_is_refused_and_costs_nothing(operator, public, forge):
    """A code is for one name, and its holder's key alone is certified; who guesses does not use it up."""
    code = invite(operator)

    assert ask(public, forge(code)) == REFUSED
    assert ask(public, request_of(code))[0] == 200


def test_used_unknown_and_over_are_one_refusal(plane, operator, public):
    """An answer tells nothing about which codes there are."""
    used = request_of(invite(operator))
    ask(public, used)
    told = [public("POST", "/v1/enrol", content=write_enrolment(r)).content for r in (used, _guessed(""))]

    assert told[0] == told[1]


@pytest.mark.parametrize("key", [b"", b"noise", b"0" * 91], ids=["none", "noise", "long"])
def test_a_key_of_another_kind_does_not_cost_the_code(operator, public, key):
    """A P-256 key or a refusal."""
    code = invite(operator)
    pop, secret = read_code(code)

    status, told = ask(public, enrolment_request(pop, secret, key))
    assert (status, told) in {(400, "enrolment-key"), (400, "bad-request")}
    assert ask(public, request_of(code))[0] == 200


def test_with_spire_there_are_no_codes_to_use(settings):
    """Without a CA here, identities come from elsewhere; the code is not used up."""
    plane = create_app(settings)
    code = invite(Caller(plane.mesh_app))
    told = ask(Caller(plane.public_app), request_of(code))
    plane.close()

    assert told == (409, "enrolment-ca")


def test_an_answer_is_for_one_request(operator, public):
    """Neither another request of the same code nor another code opens it."""
    code = invite(operator)
    _, secret = read_code(code)
    request = request_of(code)
    _, body = ask(public, request)

    for asked, keys in ((request_of(code), CodeKeys.of(secret)), (request, CodeKeys.of(bytes(32)))):
        with pytest.raises(Untrusted) as caught:
            open_answer(body, asked, keys)
        assert caught.value.code == "enrolment-answer"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"nonce":"AA","sealed":"AA"}', b'{"nonce":1,"sealed":2}'])
def test_what_is_no_answer_is_refused(body):
    """Whoever answers in the control plane's place."""
    request = enrolment_request("paris-1", bytes(32), b"key")
    with pytest.raises(Untrusted) as caught:
        open_answer(body, request, CodeKeys.of(bytes(32)))
    assert caught.value.code == "enrolment-answer"


@given(st.binary(max_size=300))
def test_noise_as_a_request_raises_only_our_refusal(data):
    """A body from anybody at all."""
    with pytest.raises(Rejected) as caught:
        read_enrolment(data)
    assert caught.value.code == "bad-request"


@pytest.mark.parametrize("text", ["", "paris-1", "paris-1.", "PARIS.{secret}", "paris-1.{secret}A", ".{secret}"])
def test_what_is_no_code_is_refused_before_anybody_is_asked(text):
    """A slip of the pen."""
    secret = write_code("x", bytes(32)).partition(".")[2]
    with pytest.raises(Rejected) as caught:
        read_code(text.format(secret=secret))
    assert caught.value.code == "enrolment-code"


@pytest.mark.parametrize("valid_s", [0, 59, 86_401])
def test_a_code_lives_a_minute_to_a_day(operator, valid_s):
    answer = operator("POST", "/v1/enrolments", json={"pop": "paris-1", "valid_s": valid_s})
    assert answer.status_code == 400


class Mesh(httpx.AsyncBaseTransport):
    """The mesh listener in this process, as it sees one peer; `answer`: said in its place."""

    def __init__(self, plane: ControlPlane, peer: SpiffeId, answer: bytes | None = None) -> None:
        self._inner, self._peer, self._answer, self.asked = httpx.ASGITransport(self._app), peer, answer, 0
        self._plane = plane

    async def _app(self, scope, receive, send):
        scope.setdefault("state", {})["peer"] = self._peer
        await self._plane.mesh_app(scope, receive, send)

    async def handle_async_request(self, request):
        self.asked += 1
        if self._answer is not None:
            return httpx.Response(200, content=self._answer)
        return await self._inner.handle_async_request(request)


def client(plane: ControlPlane, peer: SpiffeId = PARIS, answer: bytes | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Mesh(plane, peer, answer), base_url="http://control-plane")


@pytest.fixture
def present(plane) -> Svid:
    ca = DevelopmentCa.open(plane.settings.data, "ui-tools", clock=plane.settings.clock)
    return ca.issue(PARIS, plane.settings.joined_svid_ttl_s)


def test_a_certificate_is_renewed_for_a_new_key(plane, present):
    """Under the one before, for the same name."""
    svid = asyncio.run(renewed(present, client(plane)))

    assert (svid.spiffe_id, svid.bundle) == (PARIS, present.bundle)
    assert svid.leaf.public_key() != present.leaf.public_key()


def test_nobody_renews_for_another(plane, present):
    """The name is the caller's own; what names another is not taken."""
    with pytest.raises(Untrusted):
        asyncio.run(renewed(present, client(plane, SpiffeId.of("ui-tools", "edge", "tokyo-1"))))
    for role in ("operator", "device", "control-plane"):
        with pytest.raises(ConsentEdgeError) as caught:
            asyncio.run(renewed(present, client(plane, SpiffeId.of("ui-tools", role, "paris-1"))))
        assert caught.value.code == "enrolment-renewal"


def test_a_certificate_for_another_key_is_not_taken(plane, present):
    """Whoever answers: the key is ours or the certificate is of no use."""
    other = json.dumps({"chain": present.chain_pem.decode(), "bundle": present.bundle_pem.decode()}).encode()
    for answer in (other, b"", b"{}", b"[]", b'{"chain":"","bundle":""}'):
        with pytest.raises(Untrusted):
            asyncio.run(renewed(present, client(plane, answer=answer)))


@pytest.mark.parametrize(("joined", "age", "changes"), [(True, 0.6, True), (True, 0.4, False), (False, 0.6, False)])
def test_a_pop_that_joined_renews_at_half_the_life(plane, present, tmp_path, joined, age, changes):
    """Not before; and files that another program renews are left alone."""
    present.write(tmp_path / "svid")
    if joined:
        (tmp_path / "svid" / JOINED).touch()
    clock = ManualClock(int(plane.settings.clock.now() + age * plane.settings.joined_svid_ttl_s))

    async def for_a_while() -> None:
        mesh = client(plane)
        task = asyncio.create_task(renew_forever(tmp_path / "svid", mesh, clock))
        while not task.done() and not (mesh._transport.asked and Svid.read(tmp_path / "svid") != present):
            await asyncio.sleep(0)
            if not changes and joined:
                break
        task.cancel()

    asyncio.run(for_a_while())
    assert (Svid.read(tmp_path / "svid").leaf != present.leaf) is changes
