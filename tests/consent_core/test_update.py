"""An update holds one tensor and a manifest of agreed members; everything else is refused with one code."""

import json
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.base64_text import read_base64, write_base64
from consent_core.formats.budget_ledger import FIRST, BudgetLine
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.update import MAX_ENTRY, Update, read_update, write_update
from consent_core.privacy.mechanism import Mechanism

FIVE = Mechanism.promising(5, "5", "1e-5", "0.4")
UPDATE = Update(
    models=("contextual", "behavioral"),
    pop="tokyo-1",
    week="2027-W02",
    base={"contextual": "model-v20270111.1", "behavioral": "seed"},
    mechanism={"clip": "0.4", "grid": 4096, "sigma2": "76125335"},
    guarantee={"unit": "pseudonym-5-weeks"},
    policy=sha256_digest(b"policy"),
    ledger=(BudgetLine(1, FIRST, "2027-W02", Fraction(1, 9), "round", FIVE.digest),),
    spiffe_id="spiffe://ui-tools/edge/tokyo-1",
)
Y = np.arange(-20, 44, dtype=np.int64)


@dataclass(frozen=True)
class Toy:
    """A signer whose verifier is itself: signatures are a digest."""

    kid: str = "svid-0123456789abcdef"

    def sign(self, message):
        return bytes.fromhex(sha256_digest(message)[7:]) * 2

    def verify(self, role, kid, message, signature, now, revoked):
        if (role, kid, signature) != ("svid", self.kid, self.sign(message)):
            raise Untrusted("svid-signature")


BODY = write_update(UPDATE, Y, Toy())


def test_an_update_comes_back_whole():
    """Manifest and numbers."""
    received = read_update(BODY)
    received.require_signed(Toy(), 0)

    assert received.update == UPDATE
    assert (received.y == Y).all()


def test_it_is_a_safetensors_file():
    """The library of that format reads the same tensor and metadata."""
    ((name, tensor),) = safetensors.deserialize(BODY)

    assert (name, tensor["dtype"], tensor["shape"]) == ("y", "I64", [64])
    assert bytes(tensor["data"]) == Y.tobytes()


def test_a_manifest_has_the_agreed_members_and_no_count():
    """What leaves a place is on this list: protocol, promise, budget. Nothing says how many contributed."""
    assert manifest().keys() == {
        "version", "models", "pop", "region", "week", "base", "shape", "sha256",
        "mechanism", "guarantee", "policy", "ledger", "spiffe_id",
    }  # fmt: skip


def test_two_weeks_that_differ_in_what_was_taught_differ_in_numbers_digest_and_signature_alone():
    """Same length, same members: an empty week looks like a full one."""
    empty = write_update(UPDATE, Y * 0, Toy())

    assert len(empty) == len(BODY)
    assert {name for name, value in manifest(empty).items() if value != manifest()[name]} == {"sha256"}


def header(body=BODY):
    size = int.from_bytes(body[:8], "little")
    return json.loads(body[8 : 8 + size]), body[8 + size :]


def manifest(body=BODY):
    return json.loads(read_base64(json.loads(header(body)[0]["__metadata__"]["envelope"])["payload"], ValueError))


def file(head, tensor):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + tensor


def with_payload(payload):
    """The file with another manifest, signed as before."""
    head, tensor = header()
    envelope = json.loads(head["__metadata__"]["envelope"])
    envelope["payload"] = write_base64(payload)
    head["__metadata__"]["envelope"] = canonical_json(envelope).decode()
    return file(head, tensor)


def with_members(**changes):
    return with_payload(canonical_json({**manifest(), **changes}))


def with_entry(**changes):
    head, tensor = header()
    head["y"] = {**head["y"], **changes}
    return file(head, tensor)


def floats():
    head, _ = header()
    head["y"]["dtype"] = "F64"
    return file(head, np.full(64, np.nan).tobytes())


def two_tensors():
    head, tensor = header()
    return file({**head, "z": head["y"]}, tensor)


def other_metadata():
    head, tensor = header()
    head["__metadata__"]["loss"] = "0.3"
    return file(head, tensor)


def doubled():
    head, tensor = header()
    return file(json.dumps(head).replace('"dtype"', '"dtype":"I64","dtype"', 1).encode(), tensor)


MALFORMED = {
    "nothing": b"",
    "a pickle": b"\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n",
    "a zip": b"PK\x03\x04" + bytes(60),
    "a header that never ends": (2**40).to_bytes(8, "little") + bytes(100),
    "no JSON": file(b"[]", Y.tobytes()),
    "trailing bytes": BODY + b"\0",
    "a missing byte": BODY[:-1],
    "more than 8 MiB": BODY + bytes(8_388_608),
    "two tensors": two_tensors(),
    "other metadata": other_metadata(),
    "a doubled key": doubled(),
    "offsets that leave a hole": with_entry(data_offsets=[8, 520]),
    "a manifest in another spelling": with_payload(json.dumps(manifest(), indent=1).encode()),
    "a manifest with a doubled key": with_payload(
        canonical_json(manifest()).replace(b'{"base"', b'{"pop":"x","base"', 1)
    ),
    "an endless number": with_payload(canonical_json(manifest()).replace(b'"version":1', b'"version":1e999', 1)),
    "a manifest that is no base64": file(
        {**header()[0], "__metadata__": {"envelope": '{"payload":"***","payloadType":"","signatures":[]}'}}, header()[1]
    ),
}


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_what_is_not_of_the_form_is_refused(name):
    """Also what other programs would load and run."""
    assert refusal(MALFORMED[name]) == "update-malformed"


@pytest.mark.parametrize("member", ["examples", "n", "loss", "norm", "duration", "session", "secret"])
def test_a_member_more_is_refused(member):
    """A count beside the noise would undo it."""
    assert refusal(with_members(**{member: 7})) == "update-member"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"pop": "../etc", "region": "../etc"},
        {"region": "paris-1"},
        {"week": "2027-02"},
        {"models": []},
        {"models": ["contextual", "contextual"]},
        {"models": ["contextual"]},
        {"models": [7, 8]},
        {"base": {"contextual": "latest", "behavioral": "seed"}},
        {"base": {"contextual": "seed"}},
        {"policy": "sha256:short"},
        {"spiffe_id": "spiffe://ui-tools/operator/root"},
        {"mechanism": []},
        {"guarantee": "strong"},
    ],
)
def test_a_member_of_another_form_is_refused(changes):
    """Each by one code."""
    assert refusal(with_members(**changes)) == "update-member"


def test_numbers_that_could_be_no_numbers_are_refused():
    """Floats bring NaN and infinity; only I64 is read."""
    assert refusal(floats()) == "update-dtype"


@pytest.mark.parametrize("shape", [[8, 8], [0], [], [-1], [64.0], [2**40], ["64"]])
def test_another_shape_is_refused(shape):
    """One row of numbers."""
    assert refusal(with_entry(shape=shape)) in {"update-shape", "update-malformed"}


def test_a_shape_that_the_manifest_does_not_state_is_refused():
    """The tensor is the one that was signed for."""
    assert refusal(with_members(shape=[65])) == "update-shape"


def test_another_tensor_than_the_signed_one_is_refused():
    """One changed bit."""
    changed = bytearray(BODY)
    changed[-1] ^= 1

    assert refusal(bytes(changed)) == "update-digest"


@pytest.mark.parametrize("entry", [MAX_ENTRY + 1, -MAX_ENTRY - 1, 2**63 - 1, -(2**63)])
def test_an_entry_that_no_sum_can_reach_is_refused(entry):
    """Also the most negative number, which has no absolute value."""
    assert refusal(write_update(UPDATE, np.array([entry, 0]), Toy())) == "update-range"


def test_budget_lines_that_do_not_follow_are_refused():
    """A ledger with a hole is none."""
    gap = replace(UPDATE.ledger[0], seq=3, prev=FIVE.digest)
    assert refusal(write_update(replace(UPDATE, ledger=(UPDATE.ledger[0], gap)), Y, Toy())) == "budget-malformed"


def test_another_signer_is_refused():
    """A signature counts only by the key that the caller holds."""
    with pytest.raises(Untrusted) as error:
        read_update(BODY).require_signed(Toy("svid-ffffffffffffffff"), 0)
    assert error.value.code == "update-signature"


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_changed_byte_gets_through(position, flip):
    """Anywhere in the file: refused when read, or by the signature, or it changed nothing that is read."""
    changed = bytearray(BODY)
    changed[position] ^= flip
    try:
        received = read_update(bytes(changed))
        received.require_signed(Toy(), 0)
    except ConsentEdgeError:
        return
    assert received.update == UPDATE
    assert (received.y == Y).all()


def refusal(body):
    with pytest.raises(ConsentEdgeError) as error:
        read_update(body)
    return error.value.code
