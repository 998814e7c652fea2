"""The consent API's bodies, the receipt and the key set: exact round trips, and one refusal for everything else."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.consent import (
    MAX_BODY_BYTES,
    RETENTION_S,
    ConsentAnswer,
    ConsentRequest,
    RefreshRequest,
    read_answer,
    read_consent_request,
    read_refresh_request,
    write_answer,
    write_request,
)
from consent_core.formats.jwks import read_jwks, write_jwks
from consent_core.formats.receipt import TYP, Purpose, Receipt, open_receipt, peek_receipt, receipt_payload
from consent_core.formats.status import PopStatus, PurgeReceipt, read_status, write_status
from consent_core.formats.token import CATEGORIES, Key, encode_base64url
from consent_core.trust.keys import KeyStore
from tests.keys_in_time import NOTHING, SITUATIONS, START, Rotated, refusals

REQUEST = ConsentRequest(
    None, "0b" * 32, "0c" * 32, "k" * 22, ("contextual",), "EU", False, "adult", "tokyo-1", number=7
)
REFRESH = RefreshRequest("A" * 43, "US-CA", True, "tokyo-1")
ANSWER = ConsentAnswer(
    sub="A" * 22,
    ver=3,
    token="a.b.c",
    expires_at=1_800_000_300,
    choices=("contextual", "behavioral"),
    categories=("contextual",),
    reasons={"contextual": "consent", "behavioral": "gpc"},
    source="grant",
    revoked=False,
    gpc_honoured=True,
    receipt="r.s.t",
    retention={**RETENTION_S, "consent": 15_552_000},
    numbers={"contextual": 2, "behavioral": 3},
)
RECEIPT = Receipt(
    receipt_id="r1",
    record_id="rec1",
    ver=3,
    pii_principal_id="ab" * 32,
    privacy_notice={"clause_id": "consent-eu", "clause_sha256": "sha256:" + "0" * 64},
    language="en",
    jurisdiction="EU",
    region="tokyo-1",
    age_band="adult",
    gpc=True,
    gpc_honoured=True,
    policy_hash="sha256:" + "1" * 64,
    purposes=(
        Purpose(
            "contextual", "given", True, "consent", "consent", ("page",), "edge", ("pop",), 0, (), "DELETE /v1/consent"
        ),
    ),
    parties=({"party_id": "ui-tools/consent-edge", "party_role": "controller"},),
    events=({"event_type": "explicit", "event_state": "given", "event_time": 1, "entity_id": "tokyo-1"},),
)

categories = st.sets(st.sampled_from(CATEGORIES)).map(lambda s: tuple(c for c in CATEGORIES if c in s))
sessions = st.binary(min_size=32, max_size=32).map(bytes.hex)
credentials = st.binary(min_size=32, max_size=32).map(encode_base64url)
numbers = st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 2**53 - 1))


@given(
    st.builds(
        ConsentRequest,
        session=st.none() | credentials,
        next_session=sessions,
        next_withdraw=sessions,
        key=st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True),
        grant=categories,
        jurisdiction=st.sampled_from(["EU", "US-CA", "ZZ"]),
        gpc=st.booleans(),
        age_band=st.sampled_from(["adult", "teen"]),
        pop=st.sampled_from(["tokyo-1", "a"]),
        number=st.none() | st.integers(0, 2**53 - 1),
        refused=numbers,
        source=st.sampled_from(["grant", "notice"]),
        clause_id=st.none() | st.just("consent-eu"),
        notice_digest=st.none() | st.just("sha256:" + "0" * 64),
        language=st.none() | st.sampled_from(["en", "zh-tw"]),
        legacy=st.none() | credentials,
    )
)
def test_consent_requests_round_trip(request):
    """read(write(request)) == request."""
    assert read_consent_request(write_request(request)) == request


@given(refused=numbers, legacy=st.none() | credentials)
def test_refreshes_round_trip(refused, legacy):
    """With and without what the browser refused, and a secret of version 0.1.0."""
    request = replace(REFRESH, refused=refused, legacy=legacy)

    assert read_refresh_request(write_request(request)) == request
    assert read_refresh_request(write_request(REFRESH)) == REFRESH


@pytest.mark.parametrize("answer", [ANSWER, replace(ANSWER, token=None, expires_at=None, revoked=True)])
def test_answers_round_trip(answer):
    """With a token and without one."""
    assert read_answer(write_answer(answer)) == answer


@pytest.mark.parametrize(
    "change",
    [
        {"session": "secret"},
        {"session": "AB" * 32},
        {"session": 7},
        {"session": "0a" * 32},
        {"session": "A" * 42},
        {"next_session": None},
        {"next_session": "A" * 43},
        {"next_withdraw": None},
        {"key": "short"},
        {"key": None},
        {"key": "k" * 65},
        {"grant": None},
        {"grant": "contextual"},
        {"grant": ["contextual", "contextual"]},
        {"grant": ["marketing"]},
        {"grant": [["contextual"]]},
        {"choices": ["contextual"]},
        {"number": -1},
        {"number": 1.5},
        {"number": True},
        {"refused": []},
        {"refused": {"marketing": 1}},
        {"refused": {"contextual": -1}},
        {"refused": {"contextual": "1"}},
        {"notice_digest": "sha256:x"},
        {"language": "EN"},
        {"legacy": "a b"},
        {"legacy": "あ" * 43},
        {"jurisdiction": "eu"},
        {"jurisdiction": "EU'; drop table"},
        {"gpc": 1},
        {"gpc": "true"},
        {"age_band": ""},
        {"pop": "Tokyo"},
        {"pop": "a" * 64},
        {"source": "withdrawal"},
        {"clause_id": "../../etc/passwd"},
        {"expected_ver": 1},
        {"sub": "A" * 22},
    ],
    ids=str,
)
def test_a_wrong_consent_request_is_refused(change):
    """Each member has one form; what is not part of the format is not ignored."""
    body = canonical_json({**json.loads(write_request(REQUEST)), **change})

    with pytest.raises(Rejected) as caught:
        read_consent_request(body)

    assert (caught.value.code, caught.value.status) == ("bad-request", 400)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"a":1,"a":2}', b"{" * 50_000, b"\xff", b" " * (MAX_BODY_BYTES + 1), b'{"gpc":NaN}'],
    ids=range(8),
)
@pytest.mark.parametrize("read", [read_consent_request, read_refresh_request])
def test_rubbish_is_refused(read, body):
    """Only our error comes out."""
    with pytest.raises(Rejected, match=r"."):
        read(body)


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "B" * 22},
        {"ver": "3"},
        {"retention": {"consent": -1}},
        {"reasons": {"marketing": "x"}},
        {"numbers": {"x": 1}},
        {"numbers": {"contextual": -1}},
        {"numbers": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_wrong_answer_is_not_trusted(change):
    """A POP does not act on an answer it cannot read exactly."""
    with pytest.raises(Untrusted) as caught:
        read_answer(canonical_json({**json.loads(write_answer(ANSWER)), **change}))

    assert caught.value.code == "consent-answer"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True, clock=ManualClock())


def signed_receipt(key, header=None, payload=None):
    header = {"alg": "EdDSA", "typ": TYP, "kid": key.kid, **(header or {})}
    parts = [canonical_json(header), payload or receipt_payload(RECEIPT)]
    message = ".".join(encode_base64url(part) for part in parts)
    return f"{message}.{encode_base64url(key.sign(message.encode()))}"


def test_a_receipt_is_verified_offline(keys):
    """The trust file is all a third party needs."""
    text = signed_receipt(keys.current("log"))

    assert open_receipt(text, keys.trust_file(), revoked=frozenset()) == RECEIPT
    assert peek_receipt(text)["ver"] == 3


def test_a_receipt_may_say_which_version_it_follows(keys):
    """Versions may jump: with `follows` nobody can leave one out; a receipt from before it still opens."""
    log, trust = keys.current("log"), keys.trust_file()
    following = replace(RECEIPT, follows=1)

    assert (
        open_receipt(signed_receipt(log, payload=receipt_payload(following)), trust, revoked=frozenset()).follows == 1
    )
    assert open_receipt(signed_receipt(log), trust, revoked=frozenset()).follows is None


def test_every_altered_receipt_is_refused(keys):
    """No character of a receipt can change."""
    text, trust = signed_receipt(keys.current("log")), keys.trust_file()
    for position in range(len(text)):
        altered = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        with pytest.raises(Untrusted):
            open_receipt(altered, trust, revoked=frozenset())


@pytest.mark.parametrize("header", [{"typ": "consent+jwt"}, {"alg": "none"}, {"crit": []}, {"kid": 7}], ids=str)
def test_a_receipt_with_another_header_is_refused(keys, header):
    """A token is no receipt, and nothing unsigned is."""
    with pytest.raises(Untrusted) as caught:
        open_receipt(signed_receipt(keys.current("log"), header), keys.trust_file(), revoked=frozenset())

    assert caught.value.code == "receipt-malformed"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "é.é.é", "a" * 9000, "...."])
def test_what_is_no_receipt_is_refused(keys, text):
    """Rubbish ends as our error."""
    with pytest.raises(Untrusted):
        open_receipt(text, keys.trust_file(), revoked=frozenset())


def test_a_receipt_of_a_token_key_is_refused(keys):
    """Receipts are signed by role log alone."""
    with pytest.raises(Untrusted) as caught:
        open_receipt(signed_receipt(keys.current("token")), keys.trust_file(), revoked=frozenset())

    assert caught.value.code == "trust-key-unknown"


ED25519 = Key("token-1", "ed25519", bytes(range(32)))
ES256 = Key("token-2", "es256", b"\x04" + bytes(range(64)))


def test_key_sets_round_trip():
    """Both algorithms."""
    assert read_jwks(write_jwks([ED25519, ES256])) == (ED25519, ES256)
    assert read_jwks(write_jwks([])) == ()


def test_a_key_set_is_what_other_libraries_read():
    """PyJWT takes the same keys from it (RFC 7517)."""
    import jwt

    keys = jwt.PyJWKSet.from_json(write_jwks([ED25519]).decode())

    assert keys.keys[0].key.public_bytes_raw() == ED25519.key


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"alg": "ES256"},
        {"use": "enc"},
        {"x": "AA"},
        {"x": "*"},
        {"crv": "Ed448"},
        {"d": "AAAA"},
        {"kid": ""},
    ],
    ids=str,
)
def test_a_wrong_key_spoils_the_set(change):
    """A private member, another use, curve or length: the whole set is refused, the last good one stays."""
    value = json.loads(write_jwks([ED25519]))
    value["keys"][0].update(change)

    with pytest.raises(Untrusted) as caught:
        read_jwks(canonical_json(value))

    assert caught.value.code == "jwks-malformed"


@pytest.mark.parametrize("value", [{}, {"keys": {}}, {"keys": [1]}, {"keys": [{}]}], ids=str)
def test_what_is_no_key_set_is_refused(value):
    """Rubbish ends as our error."""
    with pytest.raises(Untrusted):
        read_jwks(canonical_json(value))


def test_a_kid_named_twice_is_refused():
    """Two keys of one name: which one is meant must never be a guess."""
    with pytest.raises(Untrusted):
        read_jwks(write_jwks([ED25519, ED25519]))


STATUS = PopStatus(
    "sha256:" + "1" * 64, 7, {"contextual": "model-v20270115.1"}, None, (PurgeReceipt(5, "ab" * 32, 1, {"history": 3}),)
)


def test_reports_round_trip():
    """Also before the first policy, and without the optional counts."""
    empty = PopStatus(None, 0)
    value = json.loads(write_status(STATUS))
    del value["untrusted"]

    assert read_status(write_status(STATUS)) == STATUS
    assert read_status(write_status(empty)) == empty
    assert read_status(canonical_json(value)) == STATUS


def test_heads_of_workers_round_trip():
    """By trail; a POP of one process sends no such member, so that older control planes read its reports."""
    several = replace(STATUS, worker_heads={"tokyo-1.w2": "8:" + "ab" * 32})

    assert read_status(write_status(several)) == several
    assert b"worker_heads" not in write_status(STATUS)


@pytest.mark.parametrize(
    "change",
    [
        {"policy_hash": "sha256:x"},
        {"revocation_seq": -1},
        {"releases": []},
        {"releases": {"a": 1}},
        {"releases": {str(n): "x" for n in range(65)}},
        {"receipts": [{"seq": 1}]},
        {"receipts": [{"seq": 1, "subject": "x", "at": 1, "deleted": {}}]},
        {"receipts": [{"seq": 1, "subject": "ab" * 32, "at": 1, "deleted": {"rows": -1}}]},
        {"untrusted": {"bundle-signature": True}},
        {"worker_heads": {"tokyo-1": "8:" + "ab" * 32}},
        {"worker_heads": {"tokyo-1.w2": "8"}},
        {"worker_heads": {"tokyo-1.w2": None}},
        {"worker_heads": {f"tokyo-1.w{n}": "8:" + "ab" * 32 for n in range(129)}},
        {"more": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_report_is_refused(change):
    """A report that cannot be read exactly changes nothing."""
    with pytest.raises(Rejected):
        read_status(canonical_json({**json.loads(write_status(STATUS)), **change}))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_receipt_is_judged_by_its_own_time(tmp_path, situation):
    """The key must have been in force when the receipt says that it was made; the time of reading does not matter."""
    rotated = Rotated.of(tmp_path, "log")
    good, _, _ = rotated.good
    code, trust, at, revoked = refusals(rotated)[situation]

    def made_at(moment):
        events = ({**RECEIPT.events[0], "event_time": moment},)
        return signed_receipt(rotated.key, payload=receipt_payload(replace(RECEIPT, events=events)))

    assert open_receipt(made_at(START), good, NOTHING).ver == RECEIPT.ver
    with pytest.raises(Untrusted) as refusal:
        open_receipt(made_at(at), trust, revoked)
    assert refusal.value.code == code


def test_a_receipt_without_a_time_is_refused(keys):
    """Nobody could say whether its key was in force."""
    text = signed_receipt(keys.current("log"), payload=receipt_payload(replace(RECEIPT, events=())))

    with pytest.raises(Untrusted, match="expected one with its time"):
        open_receipt(text, keys.trust_file(), NOTHING)
