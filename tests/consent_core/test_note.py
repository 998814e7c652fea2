"""Checkpoints: what the log and its witnesses signed comes back whole, and one flipped bit brings back nothing."""

import base64
from contextlib import suppress
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.note import (
    COSIGNATURE,
    MAX_SIGNATURES,
    Checkpoint,
    cosign,
    key_id,
    open_checkpoint,
    read_checkpoint,
    read_lines,
    read_note,
    sign_checkpoint,
)
from consent_core.formats.tlog import leaf_hash
from consent_core.formats.token import Key
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import Witness

ORIGIN = "ui-tools/consent-edge"
CHECKPOINT = Checkpoint(ORIGIN, 70_000, leaf_hash(b"x"))
# The example of c2sp.org/tlog-cosignature, as published.
PUBLISHED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
    "zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
    "xUe+mbIUBkBIfZ+qnA==\n"
)


@dataclass
class Signer:
    private: Ed25519PrivateKey

    @property
    def public_key(self):
        return self.private.public_key().public_bytes_raw()

    def sign(self, message):
        return self.private.sign(message)


def signer(seed):
    return Signer(Ed25519PrivateKey.from_private_bytes(seed * 32))


LOG, NEXT, FOREIGN = signer(b"l"), signer(b"n"), signer(b"f")
W1, W2 = signer(b"1"), signer(b"2")
KEYS = (Key("ledger-1", "ed25519", LOG.public_key), Key("ledger-2", "ed25519", NEXT.public_key))
WITNESSES = (Witness("w1.example", W1.public_key), Witness("w2.example", W2.public_key))


def cosigned():
    note = sign_checkpoint(CHECKPOINT, [LOG])
    return note + cosign(note, "w1.example", W1, 1_800_000_000) + cosign(note, "w2.example", W2, 1_800_000_007)


def opened(note, quorum=2, origin=ORIGIN):
    return open_checkpoint(note, origin, KEYS, WITNESSES, quorum, verify_signature)


def refused(code, note, **more):
    with pytest.raises(Untrusted) as caught:
        opened(note, **more)
    assert caught.value.code == code


def test_a_checkpoint_comes_back_whole():
    """Size and root, who signed, and who saw it when."""
    result = opened(cosigned())

    assert (result.checkpoint, result.kids) == (CHECKPOINT, ("ledger-1",))
    assert [(c.name, c.at) for c in result.cosignatures] == [
        ("w1.example", 1_800_000_000),
        ("w2.example", 1_800_000_007),
    ]
    assert result.witness_time == 1_800_000_007


def test_the_witness_time_is_the_quorum_th_smallest():
    """A single fast witness does not make a document older than the others say."""
    assert opened(cosigned(), quorum=1).witness_time == 1_800_000_000
    assert opened(cosigned(), quorum=0).witness_time is None


def test_every_single_bit_flip_is_refused():
    """No bit of a checkpoint that needs both witnesses is free."""
    note = cosigned()
    accepted = []
    for position in range(len(note) * 8):
        changed = bytearray(note)
        changed[position // 8] ^= 1 << position % 8
        try:
            opened(bytes(changed))
            accepted.append(position)
        except Untrusted:
            pass

    assert accepted == []


def test_two_keys_sign_while_one_follows_the_other():
    """A reader who knows either key can read; one who knows neither cannot."""
    assert opened(sign_checkpoint(CHECKPOINT, [LOG, NEXT]), quorum=0).kids == ("ledger-1", "ledger-2")
    assert opened(sign_checkpoint(CHECKPOINT, [FOREIGN, NEXT]), quorum=0).kids == ("ledger-2",)
    refused("note-signature", sign_checkpoint(CHECKPOINT, [FOREIGN]), quorum=0)


def test_a_foreign_witness_counts_for_nothing():
    """A line by an unknown key, or under a known name by another key, is no cosignature of a witness we trust."""
    note = sign_checkpoint(CHECKPOINT, [LOG])
    stranger = cosign(note, "w3.example", FOREIGN, 1) + cosign(note, "w2.example", FOREIGN, 1)

    refused("witness-quorum", note + cosign(note, "w1.example", W1, 1) + stranger)


def test_a_witness_counts_once():
    """Cosigning twice does not make two witnesses; its first time counts."""
    note = sign_checkpoint(CHECKPOINT, [LOG])
    twice = note + cosign(note, "w1.example", W1, 9) + cosign(note, "w1.example", W1, 5)

    later = note + cosign(note, "w1.example", W1, 5) + cosign(note, "w1.example", W1, 9)

    refused("witness-quorum", twice)
    assert opened(twice, quorum=1).witness_time == opened(later, quorum=1).witness_time == 5


def test_a_known_key_that_did_not_sign_refuses_the_note():
    """A bad line is not passed over, even if enough good ones are there."""
    note = cosigned()
    other = sign_checkpoint(Checkpoint(ORIGIN, 70_001, leaf_hash(b"y")), [LOG])

    refused("note-signature", note + cosign(other, "w1.example", W1, 4))
    refused("note-signature", note + other.split(b"\n\n")[1])


def test_a_cosignature_is_over_its_time():
    """Nobody moves a witness's word to another day."""
    note = sign_checkpoint(CHECKPOINT, [LOG])
    _, name, text = cosign(note, "w1.example", W1, 1_800_000_000).decode().split(" ")
    line = base64.b64decode(text)
    moved = line[:4] + (1_700_000_000).to_bytes(8) + line[12:]

    refused("note-signature", note + f"\u2014 {name} {base64.b64encode(moved).decode()}\n".encode(), quorum=1)


def test_another_log_is_refused():
    """The keys of one log say nothing about another."""
    refused("note-origin", cosigned(), origin="ui-tools/other")
    refused("note-origin", sign_checkpoint(Checkpoint("ui-tools/other", 1, leaf_hash(b"")), [LOG]), quorum=0)


def line_of(name, payload):
    return f"\u2014 {name} {base64.b64encode(payload).decode()}\n".encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace(b"\n\n", b"\n"),
        lambda note: note.replace(b"\n\n", b"\r\n\r\n"),
        lambda note: note.replace(b"70000", b"070000"),
        lambda note: note.replace(b"70000", b"+70000"),
        lambda note: note.replace(b"70000", b"9223372036854775808"),
        lambda note: note.replace(b"70000", "７0000".encode()),
        lambda note: note.replace(b"\n\n", b"\nextension\n\n"),
        lambda note: note.replace(b"=\n\n", b"\n\n"),
        lambda note: note.replace(b"=\n\n", b"=\x00\n\n"),
        lambda note: note.replace(b"=\n\n", b"=\x7f\n\n"),
        lambda note: note.replace("\u2014".encode(), b"-"),
        lambda note: note[:-1],
        lambda note: note + b"\n",
        lambda note: note + b"more\n",
        lambda note: note + line_of("w3.example", b"four"),
        lambda note: note + line_of("w3 .example", b"12345678"),
        lambda note: note + line_of("w3+example", b"12345678"),
        lambda note: note + line_of("w3\x01example", b"12345678"),
        lambda note: note + "\u2014 w3.example MTIzNDU2Nzg\n".encode(),
        lambda note: note + "\u2014 w3.example MTIzNDU2Nzh=\n".encode(),
        lambda note: note + b"\xff\n",
        lambda note: note + line_of("w3.example", b"12345678") * MAX_SIGNATURES,
        lambda note: note + line_of("w1.example", key_id("w1.example", COSIGNATURE, W1.public_key) + b"\0" * 72),
        lambda note: (
            note + line_of("w1.example", key_id("w1.example", COSIGNATURE, W1.public_key) + b"\0\0\0\0\0\0\0\1")
        ),
        lambda note: note + b"\xe2\x80\x94 w3.example " + b"A" * 70_000 + b"\n",
        lambda note: b"",
        lambda note: b"\n\n",
    ],
)
def test_what_is_not_one_note_in_its_one_spelling_is_refused(change):
    """Two spellings of a checkpoint would be two files that claim to be the same."""
    refused("note-malformed", change(cosigned()))


def test_the_published_example_reads():
    """Other implementations' notes have our form."""
    note = read_note(PUBLISHED.encode())

    assert read_checkpoint(note.text).size == 20_852_163
    assert [line.name for line in note.lines] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert int.from_bytes(note.lines[1].signature[:8]) == 1_679_315_147


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_a_refusal(data):
    """A parser of public bytes raises our errors and nothing else."""
    with pytest.raises(Untrusted):
        opened(data)
    for read in (read_note, read_lines):
        with suppress(Untrusted):
            read(data)
