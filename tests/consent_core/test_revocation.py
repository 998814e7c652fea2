"""The revocation log on the wire: what is signed comes back whole, and nothing else comes back at all."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.revocation import (
    EFFECTS,
    GENESIS,
    START,
    Entry,
    Point,
    entry_hash,
    entry_value,
    head_of,
    hint,
    open_answer,
    open_snapshot,
    read_entry,
    sign_answer,
    sign_snapshot,
    subject_of,
    without_entries,
)
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.trust.keys import KeyStore

ORIGIN = "A" * 22
NONCE = "n0nce"
SALTS = tuple(encode_base64url(bytes([number]) * 16) for number in range(256))
SESSION = Entry(1, GENESIS, SALTS[1], "session", "ab" * 32, ("behavioral",), 2, 1, 1_800_000_000, "stop")
KEY = Entry(2, entry_hash(SESSION), SALTS[2], "key", "token-0011", (), 0, 0, 1_800_000_001, "distrust")
PURGE = Entry(3, entry_hash(KEY), SALTS[3], "purge", "cd" * 32, CATEGORIES, 9, 0, 1_800_000_002, "erase")
OTHER = "sha256:" + "ab" * 32


def at(number, chain=OTHER):
    return Point(number, chain if number else GENESIS)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True, clock=ManualClock())


@pytest.fixture(scope="module")
def trust(keys):
    return keys.trust_file()


def answer_bytes(keys, entries=(SESSION, KEY, PURGE), head=3, nonce=NONCE):
    last = head_of(entries, START)
    signed_for = last if last.number == head else at(head)
    return sign_answer(entries, signed_for, ORIGIN, nonce, 1_800_000_003, keys.current("log"))


def snapshot_bytes(keys, entries, through, head):
    return sign_snapshot(entries, START, at(through), at(head), ORIGIN, NONCE, 1, keys.current("log"))


def resigned(keys, data, **changes):
    value = {**json.loads(data), **changes}
    del value["signature"]
    signature = encode_base64url(keys.current("log").sign(canonical_json(without_entries(value))))
    return canonical_json({**value, "signature": signature})


def refused(code, call):
    with pytest.raises(Untrusted) as caught:
        call()
    assert caught.value.code == code


def test_an_answer_gives_back_what_was_signed(keys, trust):
    """Entries, head, origin, nonce and time survive the wire."""
    answer = open_answer(answer_bytes(keys), trust, NONCE, after=0, now=0, revoked=frozenset())

    assert answer.entries == (SESSION, KEY, PURGE)
    assert (answer.head, answer.origin, answer.nonce, answer.at) == (3, ORIGIN, NONCE, 1_800_000_003)


def test_an_idle_log_answers_with_its_head(keys, trust):
    """No entry is a full answer, as long as nothing is outstanding."""
    assert open_answer(answer_bytes(keys, (), 7), trust, NONCE, after=7, now=0, revoked=frozenset()).head == 7
    refused(
        "log-gap", lambda: open_answer(answer_bytes(keys, (), 7), trust, NONCE, after=6, now=0, revoked=frozenset())
    )


def test_a_replayed_answer_is_refused(keys, trust):
    """An answer counts for the poll whose nonce it carries, and for no other."""
    refused("log-nonce", lambda: open_answer(answer_bytes(keys), trust, "another", now=0, revoked=frozenset()))


def test_every_flipped_byte_is_refused(keys, trust):
    """No byte of an answer can change without being noticed, and only our errors come out."""
    data = answer_bytes(keys, (SESSION,), 1)
    for position in range(len(data)):
        altered = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(Untrusted):
            open_answer(altered, trust, NONCE, now=0, revoked=frozenset())


def test_a_key_of_another_role_does_not_speak_for_the_log(keys, trust):
    """A token key's signature over an answer is worthless."""
    data = sign_answer((), START, ORIGIN, NONCE, 1, keys.current("token"))

    refused("trust-key-unknown", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))


@pytest.mark.parametrize(
    ("entries", "head", "after"),
    [
        ((SESSION, PURGE), 3, 0),
        ((KEY, SESSION), 3, 0),
        ((KEY, PURGE), 3, 0),
        ((SESSION, KEY, PURGE), 2, 0),
        ((SESSION, SESSION), 2, 0),
        ((), 3, 0),
    ],
    ids=["hole", "backwards", "starts-late", "beyond-head", "twice", "withheld"],
)
def test_a_gap_is_refused_although_signed(keys, trust, entries, head, after):
    """Entries are consecutive from the number asked for, up to the head at most."""
    refused(
        "log-gap",
        lambda: open_answer(answer_bytes(keys, entries, head), trust, NONCE, after=after, now=0, revoked=frozenset()),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "sesion"},
        {"effect": "erase"},
        {"categories": []},
        {"categories": ["behavioral", "behavioral"]},
        {"categories": ["behavioral", "contextual"]},
        {"categories": ["marketing"]},
        {"subject": "AB" * 32},
        {"subject": "ab"},
        {"ver": 0},
        {"ver": True},
        {"ver": -1},
        {"seq": 0},
        {"seq": "1"},
        {"at": 1.5},
        {"extra": 1},
        {"prev": "ab" * 32},
        {"prev": None},
        {"salt": "A" * 21},
        {"salt": "A" * 21 + "B"},
        {"salt": ""},
        {"said": -1},
        {"said": None},
    ],
    ids=str,
)
def test_a_malformed_entry_is_refused_although_signed(keys, trust, change):
    """An entry that nobody can act on exactly is refused, not guessed at."""
    data = resigned(keys, answer_bytes(keys), entries=[{**entry_value(SESSION), **change}])

    refused("log-malformed", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))


@pytest.mark.parametrize("missing", ["entries", "head", "chain", "origin", "nonce", "at", "kid", "signature"])
def test_a_missing_member_is_refused(keys, trust, missing):
    """Every member of an answer is needed."""
    value = json.loads(answer_bytes(keys))
    del value[missing]

    refused("log-malformed", lambda: open_answer(canonical_json(value), trust, NONCE, now=0, revoked=frozenset()))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"head":1,"head":2}', b"\xff", b"[" * 100_000])
def test_what_is_no_answer_is_refused(trust, data):
    """Rubbish of any kind ends as our error."""
    refused("json-malformed", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))


def test_an_answer_of_an_expired_key_is_refused(tmp_path):
    """Who asks for it gets the key's validity held against its own clock."""
    clock = ManualClock()
    keys = KeyStore.open(tmp_path, create=True, clock=clock)
    data = answer_bytes(keys)
    keys.rotate("log", overlap_s=60)

    assert open_answer(data, keys.trust_file(), NONCE, now=clock.now() + 59, revoked=frozenset()).head == 3
    refused(
        "trust-key-expired",
        lambda: open_answer(data, keys.trust_file(), NONCE, now=clock.now() + 60, revoked=frozenset()),
    )


def test_a_snapshot_gives_back_what_was_signed(keys, trust):
    """A snapshot has the survivors up to `through`; polling goes on from there."""
    data = snapshot_bytes(keys, (KEY, PURGE), 5, 8)
    snapshot = open_snapshot(data, trust, NONCE, now=0, revoked=frozenset())

    assert (snapshot.entries, snapshot.after, snapshot.after_chain) == ((KEY, PURGE), 0, GENESIS)
    assert (snapshot.through, snapshot.through_chain, snapshot.head, snapshot.chain) == (5, OTHER, 8, OTHER)


def test_a_snapshot_is_no_answer_nor_an_answer_a_snapshot(keys, trust):
    """The two signed forms cannot be taken for each other."""
    snapshot = snapshot_bytes(keys, (KEY,), 5, 8)

    refused("log-malformed", lambda: open_answer(snapshot, trust, NONCE, now=0, revoked=frozenset()))
    refused("log-malformed", lambda: open_snapshot(answer_bytes(keys), trust, NONCE, now=0, revoked=frozenset()))


@pytest.mark.parametrize(
    ("entries", "through", "head"), [((PURGE, KEY), 5, 8), ((KEY, PURGE), 2, 8), ((KEY,), 9, 8), ((KEY, KEY), 5, 8)]
)
def test_a_disordered_snapshot_is_refused(keys, trust, entries, through, head):
    """Ascending, none beyond `through`, which is not beyond the head."""
    data = snapshot_bytes(keys, entries, through, head)

    refused("log-gap", lambda: open_snapshot(data, trust, NONCE, now=0, revoked=frozenset()))


# The chain.


@pytest.mark.parametrize(
    "entries",
    [
        (SESSION, replace(KEY, prev=GENESIS), PURGE),
        (replace(SESSION, ver=3), KEY, PURGE),
        (replace(SESSION, salt=SALTS[9]), KEY, PURGE),
        (SESSION, replace(KEY, subject="token-0012"), PURGE),
        (replace(SESSION, prev=OTHER), replace(KEY, prev=entry_hash(replace(SESSION, prev=OTHER)))),
    ],
    ids=["named-another", "first-changed", "other-salt", "middle-changed", "first-names-one"],
)
def test_a_broken_chain_is_refused_although_signed(keys, trust, entries):
    """Each entry names the hash of the whole entry before it, its salt included."""
    refused(
        "log-fork",
        lambda: open_answer(answer_bytes(keys, entries, len(entries)), trust, NONCE, now=0, revoked=frozenset()),
    )


def test_the_head_has_the_hash_that_was_signed(keys, trust):
    """Entries that reach the head lead to the head's hash, and to no other."""
    signer = keys.current("log")
    data = sign_answer((SESSION, KEY), Point(2, entry_hash(PURGE)), ORIGIN, NONCE, 1, signer)
    refused("log-fork", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))
    snapshot = sign_snapshot((SESSION, KEY), START, Point(2, OTHER), at(3), ORIGIN, NONCE, 1, signer)
    refused("log-fork", lambda: open_snapshot(snapshot, trust, NONCE, now=0, revoked=frozenset()))


@pytest.mark.parametrize("changes", [{"chain": GENESIS}, {"head": 0, "entries": []}, {"chain": "sha256:AB"}])
def test_a_head_that_is_no_place_is_refused(keys, trust, changes):
    """Number 0, and nothing else, has the hash of no entry."""
    data = resigned(keys, answer_bytes(keys), **changes)
    refused("log-malformed", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))


def test_neighbours_of_an_entry_confirm_no_guess_of_it(keys, trust):
    """Who holds the entries around another's, and guesses its every field, cannot tell whether the guess is right.

    Without the salt they could: they would compute the hash that the later one names. With it, the right guess and a
    wrong one look alike under every salt that they may try.
    """
    salt = encode_base64url(bytes(range(16)))
    hers = Entry(2, entry_hash(SESSION), salt, "session", "cd" * 32, CATEGORIES, 2, 1, 5, "stop")
    after = replace(KEY, seq=3, prev=entry_hash(hers))
    seen = sign_answer((after,), head_of((after,), START), ORIGIN, NONCE, 1, keys.current("log"))
    guesses = [replace(hers, salt=tried) for tried in SALTS]

    assert after.prev not in {entry_hash(guess) for guess in guesses}
    assert after.prev == entry_hash(hers)
    assert salt not in seen.decode()


def test_the_subject_is_the_agreed_digest():
    """SHA-256 over the domain and the sub; computed elsewhere with sha256sum."""
    expected = "e5d693c3d6b15cc1cbe36146135598abdbf253a8d600cd4ade7b690e3aa461f8"

    assert subject_of("AAAAAAAAAAAAAAAAAAAAAA") == expected
    assert subject_of("AAAAAAAAAAAAAAAAAAAAAQ") != expected


def test_a_hint_is_one_server_sent_event():
    """The stream says how far the log has come, and nothing else."""
    assert hint(12) == b'event: head\ndata: {"head": 12}\n\n'


hashes = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")
salts = st.binary(min_size=16, max_size=16).map(encode_base64url)
people = st.builds(
    Entry,
    seq=st.integers(1, 2**53 - 1),
    prev=hashes,
    salt=salts,
    kind=st.sampled_from(["session", "purge"]),
    subject=st.binary(min_size=32, max_size=32).map(bytes.hex),
    categories=st.sets(st.sampled_from(CATEGORIES), min_size=1).map(lambda s: tuple(c for c in CATEGORIES if c in s)),
    ver=st.integers(1, 2**53 - 1),
    said=st.integers(0, 2**40 - 1),
    at=st.integers(0, 2**53 - 1),
    effect=st.none(),
)
things = st.builds(
    Entry,
    seq=st.integers(1, 2**53 - 1),
    prev=hashes,
    salt=salts,
    kind=st.sampled_from(["key", "policy", "model"]),
    subject=st.from_regex(r"[A-Za-z0-9:._/-]{1,256}", fullmatch=True),
    categories=st.just(()),
    ver=st.just(0),
    said=st.just(0),
    at=st.integers(0, 2**53 - 1),
    effect=st.none(),
)


@given(st.one_of(people, things))
def test_entries_round_trip(entry):
    """read_entry(entry_value(e)) == e."""
    entry = replace(entry, effect=EFFECTS[entry.kind])

    assert read_entry(entry_value(entry)) == entry


@given(st.lists(st.one_of(people, things), max_size=5), st.text(max_size=20))
def test_what_is_signed_is_canonical_json(keys, entries, origin):
    """The fast spelling is RFC 8785's, whatever texts and numbers are in it."""
    entries = [replace(entry, effect=EFFECTS[entry.kind]) for entry in entries]
    data = sign_answer(entries, at(2**53 - 1), origin, NONCE, 0, keys.current("log"))

    assert canonical_json(json.loads(data)) == data


def test_half_a_surrogate_pair_is_refused(trust):
    """It has no UTF-8, so nobody can have signed it."""
    value = dict.fromkeys(("entries", "head", "chain", "origin", "nonce", "at", "kid", "signature"), "\\ud800")
    data = json.dumps({**value, "signature": "AA"}).replace("\\\\", "\\").encode()

    refused("log-malformed", lambda: open_answer(data, trust, NONCE, now=0, revoked=frozenset()))


@given(st.lists(st.one_of(people, things), min_size=2, max_size=6), st.data())
def test_any_change_of_any_entry_breaks_the_chain(entries, data):
    """Whatever member of whichever entry: what follows it no longer follows."""
    chained = []
    for seq, entry in enumerate(entries, 1):
        prev = entry_hash(chained[-1]) if chained else GENESIS
        chained.append(replace(entry, seq=seq, prev=prev, effect=EFFECTS[entry.kind]))
    which = data.draw(st.integers(0, len(chained) - 2))
    member = data.draw(st.sampled_from(["salt", "subject", "ver", "said", "at", "categories"]))
    other = replace(chained[which], **{member: _another(getattr(chained[which], member))})

    assert entry_hash(other) != chained[which + 1].prev == entry_hash(chained[which])


def _another(value):
    return value + 1 if isinstance(value, int) else (*value, "x") if isinstance(value, tuple) else value + "x"
