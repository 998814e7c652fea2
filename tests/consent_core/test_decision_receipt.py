"""Decision receipts: one spelling, read strictly."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.decision.contract import (
    Adjustment,
    Candidate,
    Decision,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.decision.receipt import TYP, DecisionReceipt, Input, open_receipt, output_bytes, sign_receipt
from consent_core.errors import Untrusted
from consent_core.formats.endorsement import attester_kid
from consent_core.formats.jws import read_jws, sign_jws
from consent_core.formats.seen import NONE

words = st.text(max_size=12)
texts = st.lists(words, max_size=3).map(tuple)
percents = st.integers(-100, 100)
signals = st.builds(
    Signals,
    st.none() | st.builds(PageContext, words, words, texts, words),
    st.none()
    | st.lists(
        st.builds(Interaction, st.sampled_from(("impression", "click", "purchase")), words, texts, st.integers(0, 255)),
        max_size=3,
    ).map(tuple),
    st.none() | st.builds(ExperimentArm, words, words),
)
candidates = st.lists(st.builds(Candidate, words, texts, texts), max_size=3).map(tuple)
decisions = st.builds(
    Decision, words, words, st.builds(Adjustment, percents, percents, percents), st.integers(0, 16), st.booleans()
)


class Key:
    """A POP's key."""

    private = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
    kid = attester_kid(private.public_key().public_bytes_raw())

    def sign(self, message):
        return self.private.sign(message)


def trusting(kid, message, signature):
    Key.private.public_key().verify(signature, message)


RECEIPT = DecisionReceipt(
    iss="spiffe://ui-tools/edge/tokyo-1",
    at=1_800_000_000,
    slot="home-hero",
    category="contextual",
    jurisdiction="EU",
    policy_hash="sha256:" + "02" * 32,
    token_exp=1_800_000_300,
    component="sha256:" + "01" * 32,
    input=Input(
        Signals(
            PageContext("/", "camping", ("tent",), "en"),
            (Interaction("click", "tent", ("camping",), 2),),
            ExperimentArm("tile", "a"),
        ),
        (Candidate("tents", ("tent",), ("About tents",)),),
        7,
    ),
    output=Decision("tents", "About tents", Adjustment(1, -2, 3), 12, explored=False),
    seen=NONE,
)
VALUE = read_jws(sign_receipt(RECEIPT, Key()), TYP, 65_536, ValueError).payload


@settings(max_examples=100)
@given(signals, candidates, st.integers(0, 15), decisions)
def test_a_receipt_is_read_as_it_was_written(seen, offered, entropy, output):
    """Whatever a function may be given and may answer, to the last byte."""
    receipt = replace(RECEIPT, input=Input(seen, offered, entropy), output=output)
    text = sign_receipt(receipt, Key())

    assert open_receipt(text, trusting) == receipt
    assert sign_receipt(open_receipt(text, trusting), Key()) == text
    assert output_bytes(open_receipt(text, trusting).output) == output_bytes(output)


def changed(path, value):
    """The payload with one member changed; None removes it."""
    made = json.loads(json.dumps(VALUE))
    place = made
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


WRONG = [
    (("iss",), "https://shop.example"),
    (("at",), -1),
    (("at",), True),
    (("slot",), "Home"),
    (("category",), "default"),
    (("jurisdiction",), "eu"),
    (("policy_hash",), ""),
    (("component",), "sha256:00"),
    (("token_exp",), None),
    (("seen",), "1:x"),
    (("more",), 1),
    (("input", "entropy"), 16),
    (("input", "sub"), "A" * 22),
    (("input", "signals", "page", "path"), 1),
    (("input", "signals", "page", "tags"), ["a", 1]),
    (("input", "signals", "page", "ip"), "127.0.0.1"),
    (("input", "signals", "history"), {}),
    (("input", "signals", "history", 0, "kind"), "look"),
    (("input", "signals", "history", 0, "days_ago"), 256),
    (("input", "signals", "experiment", "arm"), 5),
    (("input", "signals", "mood"), "good"),
    (("input", "candidates", 0, "copies"), "text"),
    (("input", "candidates", 0, "tags"), None),
    (("output", "propensity"), 17),
    (("output", "explored"), 0),
    (("output", "adjustment", "warmth"), 101),
    (("output", "adjustment", "warmth"), True),
    (("output", "adjustment", "warmth"), None),
    (("output", "adjustment", "hue"), 0),
    (("output", "asset"), None),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_what_is_not_of_the_form_is_refused(path, value):
    """Also under a good signature: a member too many, missing, or of another kind."""
    text = sign_jws(TYP, changed(path, value), Key())

    with pytest.raises(Untrusted) as refusal:
        open_receipt(text, trusting)
    assert refusal.value.code in ("decision-receipt-malformed", "attestation-malformed")


@pytest.mark.parametrize("typ", ["consent-receipt+jwt", "eat+jwt", "JWT"])
def test_another_kind_of_jws_is_no_decision_receipt(typ):
    """What a key signed for one purpose is nothing for another."""
    with pytest.raises(Untrusted):
        open_receipt(sign_jws(typ, VALUE, Key()), trusting)
