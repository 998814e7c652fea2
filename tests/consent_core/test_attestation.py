"""Attestations, statements, endorsements and closing statements: one spelling each, and one refusal for the rest."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.attestation import (
    FIRST,
    PROFILE,
    TYP,
    Attestation,
    LogPosition,
    PolicyInForce,
    malformed,
    open_attestation,
    sign_attestation,
)
from consent_core.formats.canonical import canonical_json
from consent_core.formats.closing import Closing, open_closing, sign_closing
from consent_core.formats.endorsement import Endorsement, attester_kid, open_endorsement, sign_endorsement
from consent_core.formats.jws import read_jws, sign_jws
from consent_core.formats.seen import NONE, Seen, read_seen
from consent_core.formats.statement import (
    PROFILES,
    After,
    Deletion,
    Search,
    open_statement,
    sign_statement,
    wrong_parts,
)
from consent_core.formats.token import encode_base64url
from consent_core.trust.keys import KeyStore
from consent_core.trust.signatures import verify_signature

HEAD = "7:" + "ab" * 32
ATTESTATION = Attestation(
    iss="spiffe://ui-tools/edge/tokyo-1",
    iat=1_800_000_060,
    kind="interval",
    life=1,
    n=812,
    prev=FIRST,
    since=1_800_000_000,
    until=1_800_000_060,
    components={"consent_validation": "sha256:" + "01" * 32},
    releases={"contextual": "model-v20270115.1"},
    policy=PolicyInForce("sha256:" + "02" * 32, 12, 1_799_990_000),
    log=LogPosition("A" * 22, 43, ((42, 1_800_000_009), (43, 1_800_000_030)), ((1_800_000_000, 1_800_000_060),)),
    seen=Seen(70_000, bytes(32)),
    audit={"tokyo-1": HEAD, "tokyo-1.w2": HEAD},
)
SEARCH = Search(
    iss=ATTESTATION.iss,
    iat=1_800_000_090,
    seen=NONE,
    request="dsr-1",
    subject="e9" * 32,
    seq=43,
    after=After(1, 812, FIRST),
    applied_at=1_800_000_030,
    trails={"tokyo-1": (HEAD, HEAD)},
    records=212,
    of_person=5,
    personalised_before_applied=1,
    personalised_after=0,
)
DELETION = Deletion(
    iss=ATTESTATION.iss,
    iat=1_800_000_090,
    seen=NONE,
    request="",
    subject="e9" * 32,
    seq=44,
    after=After(1, 812, FIRST),
    parts="pop/v1",
    deleted={"history": 3},
    remaining={"history": 0, "trail.tokyo-1.w2": 0},
    ends={"log_answers": "2027-01-30"},
    at=1_800_000_080,
)
CLOSING = Closing("dsr-1", "sha256:" + "03" * 32, (), 1_800_000_200, ("the row",), 1_800_000_201, NONE)


class Attester:
    """A place's own key."""

    def __init__(self, seed=b"1" * 32):
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.kid = attester_kid(self.public_key)

    def sign(self, message):
        return self._private.sign(message)

    def verify(self, kid, message, signature):
        if kid != self.kid:
            raise Untrusted("attester-unknown", "another key")
        try:
            verify_signature("ed25519", self.public_key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", "bad") from error


KEY = Attester()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True, clock=ManualClock())


@pytest.mark.parametrize("change", [{}, {"policy": None}, {"next": KEY.kid}, {"log": LogPosition("", 0)}])
def test_an_attestation_gives_back_what_was_signed(change):
    """Every claim survives, the optional ones too, and the same value is the same text."""
    attestation = replace(ATTESTATION, **change)
    text = sign_attestation(attestation, KEY)

    assert open_attestation(text, KEY.verify) == attestation
    assert sign_attestation(attestation, KEY) == text
    assert attestation.place == "edge/tokyo-1"


@pytest.mark.parametrize("statement", [SEARCH, DELETION, replace(DELETION, after=None, reason="revoked")])
def test_a_statement_gives_back_what_was_signed(statement):
    """Both kinds."""
    assert open_statement(sign_statement(statement, KEY), KEY.verify) == statement


def claims_of(text):
    return dict(read_jws(text, TYP, 16_384, malformed).payload)


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"eat_profile": "tag:other"},
        {"kind": "rumour"},
        {"n": 0},
        {"n": "812"},
        {"life": 0},
        {"life": True},
        {"iss": "spiffe://ui-tools/operator/ada"},
        {"iss": "https://ui-tools/edge/tokyo-1"},
        {"prev": "sha256:00"},
        {"since": 1_800_000_061},
        {"seen": "1:AA=="},
        {"seen": "0:" + "A" * 43 + "="},
        {"audit": {"tokyo-1": "7"}},
        {"audit": {"../x": HEAD}},
        {"components": {"c": "latest"}},
        {"policy": {"hash": "sha256:" + "02" * 32, "revision": 1}},
        {"log": {"origin": "A" * 22, "position": 42, "applied": [[43, 1]], "in_sync": []}},
        {"log": {"origin": "A" * 22, "position": 43, "applied": [[43, 1], [42, 2]], "in_sync": []}},
        {"log": {"origin": "A" * 22, "position": 43, "applied": [[43]], "in_sync": []}},
        {"log": {"origin": "A" * 22, "position": 43, "applied": [[1, 1]] * 257, "in_sync": []}},
        {"next": "token-0011"},
    ],
)
def test_another_form_of_attestation_is_refused(change):
    """Exactly the agreed claims, each of its form, even when the place itself signed something else."""
    value = {**claims_of(sign_attestation(ATTESTATION, KEY)), **change}
    with pytest.raises(Untrusted) as caught:
        open_attestation(sign_jws(TYP, value, KEY), KEY.verify)

    assert caught.value.code == "attestation-malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "opinion"},
        {"subject": "ada@example.test"},
        {"trails": {"tokyo-1": [HEAD]}},
        {"trails": {"tokyo-1": HEAD}},
        {"records": -1},
        {"after": None},
        {"n": 813},
        {"personalised_after": None},
    ],
)
def test_another_form_of_statement_is_refused(change):
    """A statement has no number, and a search names where it stands in the chain."""
    payload = read_jws(sign_statement(SEARCH, KEY), "consent-edge-statement+jwt", 16_384, malformed).payload
    with pytest.raises(Untrusted) as caught:
        open_statement(sign_jws("consent-edge-statement+jwt", {**payload, **change}, KEY), KEY.verify)

    assert caught.value.code == "attestation-malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": TYP, "kid": KEY.kid},
        {"alg": "ES256", "typ": TYP, "kid": KEY.kid},
        {"alg": "EdDSA", "typ": "JWT", "kid": KEY.kid},
        {"alg": "EdDSA", "typ": TYP},
        {"alg": "EdDSA", "typ": TYP, "kid": KEY.kid, "jwk": {}},
        {"alg": "EdDSA", "typ": TYP, "kid": 7},
    ],
)
def test_another_header_is_refused(header):
    """One algorithm, one type, one key id: nothing brings its own key."""
    text = sign_attestation(ATTESTATION, KEY)
    message = f"{encode_base64url(canonical_json(header))}.{text.split('.')[1]}"
    with pytest.raises(Untrusted) as caught:
        open_attestation(f"{message}.{encode_base64url(KEY.sign(message.encode()))}", KEY.verify)

    assert caught.value.code == "attestation-malformed"


def test_another_spelling_of_the_same_claims_is_refused():
    """What is hashed into a chain has one spelling."""
    spaced = json.dumps(claims_of(sign_attestation(ATTESTATION, KEY))).encode()
    header = sign_attestation(ATTESTATION, KEY).split(".")[0]
    message = f"{header}.{encode_base64url(spaced)}"
    with pytest.raises(Untrusted) as caught:
        open_attestation(f"{message}.{encode_base64url(KEY.sign(message.encode()))}", KEY.verify)

    assert caught.value.code == "attestation-malformed"


def test_every_altered_character_is_refused():
    """Exhaustive over the text of an attestation."""
    text = sign_attestation(ATTESTATION, KEY)
    for position in range(len(text)):
        altered = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        with pytest.raises(Untrusted):
            open_attestation(altered, KEY.verify)


def test_an_attestation_is_no_statement():
    """The types are told apart by their header."""
    for text, opened in (
        (sign_attestation(ATTESTATION, KEY), open_statement),
        (sign_statement(SEARCH, KEY), open_attestation),
    ):
        with pytest.raises(Untrusted):
            opened(text, KEY.verify)


def test_too_long_is_refused():
    """16 KiB hold any attestation of this form."""
    with pytest.raises(Untrusted):
        open_attestation("a." * 9000, KEY.verify)


def test_a_profile_is_counted_exactly():
    """Each part once, each trail of the place, the memory of each process, each end date."""
    parts = [*PROFILES["pop/v1"].parts, "trail.a", "trail.a.w2", "memory.a"]
    ends = dict.fromkeys(PROFILES["pop/v1"].ends, "2027-01-30")
    whole = replace(DELETION, remaining=dict.fromkeys(parts, 0), ends=ends)

    assert wrong_parts(whole, ["a", "a.w2"]) == set()
    assert wrong_parts(whole, ["a"]) == {"trail.a.w2"}
    assert wrong_parts(whole, ["a", "a.w2"], ["a", "b"]) == {"memory.b"}
    assert wrong_parts(replace(whole, ends={}), ["a", "a.w2"]) == set(ends)
    less = {part: 0 for part in parts if part != "memory.a"}
    assert wrong_parts(replace(whole, remaining=less), ["a", "a.w2"]) == {"memory"}


def test_an_endorsement_gives_back_what_was_signed(keys):
    """A key, whose it is, and for how long."""
    endorsement = Endorsement(ATTESTATION.iss, KEY.kid, KEY.public_key, 1, 2_000_000_000)
    envelope = sign_endorsement(endorsement, keys.current("attestation"))

    assert open_endorsement(envelope, keys.trust_file(), 1_800_000_000, frozenset()) == endorsement
    assert (endorsement.valid_at(0), endorsement.valid_at(1), endorsement.valid_at(2_000_000_000)) == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "attester-" + "0" * 16},
        {"key": b"short"},
        {"spiffe_id": "spiffe://ui-tools/operator/ada"},
        {"not_after": -1},
    ],
)
def test_another_form_of_endorsement_is_refused(keys, change):
    """The key's name is made from the key."""
    endorsement = replace(Endorsement(ATTESTATION.iss, KEY.kid, KEY.public_key, 1, 2), **change)
    with pytest.raises(Untrusted) as caught:
        open_endorsement(sign_endorsement(endorsement, keys.current("attestation")), keys.trust_file(), 1, frozenset())

    assert caught.value.code == "endorsement"


def test_an_endorsement_by_another_role_is_none(keys):
    """Role `attestation` alone endorses."""
    endorsement = Endorsement(ATTESTATION.iss, KEY.kid, KEY.public_key, 1, 2)
    with pytest.raises(Untrusted) as caught:
        open_endorsement(sign_endorsement(endorsement, keys.current("log")), keys.trust_file(), 1, frozenset())

    assert caught.value.code == "trust-key-unknown"


def test_a_closing_statement_gives_back_what_was_signed(keys):
    """The last word, also with what stays."""
    assert open_closing(sign_closing(CLOSING, keys.current("attestation")), keys.trust_file(), frozenset()) == CLOSING


def test_a_closing_statement_of_another_form_is_refused(keys):
    """Only by role `attestation`, only of its form."""
    with pytest.raises(Untrusted) as caught:
        open_closing(
            sign_closing(replace(CLOSING, pack="x"), keys.current("attestation")), keys.trust_file(), frozenset()
        )
    assert caught.value.code == "closing-malformed"
    with pytest.raises(Untrusted) as caught:
        open_closing(sign_closing(CLOSING, keys.current("log")), keys.trust_file(), frozenset())
    assert caught.value.code == "trust-key-unknown"


@pytest.mark.parametrize(
    "text", ["", "1", "01:" + "A" * 43 + "=", "1:" + "A" * 42 + "==", "1:" + "A" * 42 + "B=", 7, None]
)
def test_a_seen_checkpoint_has_one_spelling(text):
    """A size without leading zeros and a root of 32 bytes; size 0 has one root."""
    assert read_seen(NONE.text, malformed) == NONE
    with pytest.raises(Untrusted):
        read_seen(text, malformed)


def test_the_profile_names_the_format():
    """EAT's profile claim tells a reader which rules apply."""
    assert claims_of(sign_attestation(ATTESTATION, KEY))["eat_profile"] == PROFILE
