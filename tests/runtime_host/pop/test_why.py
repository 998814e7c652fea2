"""`?why=1`: the receipt of a decision goes to the visitor who asks, and to no other."""

import json

import pytest

from consent_core.decision.contract import Interaction
from consent_core.errors import Untrusted
from consent_core.formats.endorsement import Endorsement, sign_endorsement
from consent_core.formats.revocation import subject_of
from consent_core.trust.decision_receipts import open_given
from consent_core.trust.trust_file import NO_LOG
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.stores import Interaction as Row
from runtime_host.pop.stores import Withdrawal
from tests.runtime_host.pop.edge import TOKEN_COOKIE, Hesitant, ask, make_edge, native_functions, visitor
from tests.runtime_host.pop.test_default_identity import SLOT, a_hundred_ways

ID = "spiffe://ui-tools/edge/tokyo-1"


def endorse(edge, spiffe_id=ID, key=None, before=60, after=86_400):
    """As the control plane answers at the POP's start."""
    own, now = AttesterKey.open(edge.pop.config.home), edge.clock.now()
    public = own if key is None else key
    endorsement = Endorsement(spiffe_id, public.kid, public.public_key, now - before, now + after)
    envelope = sign_endorsement(endorsement, edge.plane.keys.current("attestation"))
    own.keep_endorsement(edge.pop.config.home, json.loads(envelope))


def asked(edge, run, *scopes, slot="home-hero", **claims):
    return run(edge.get(f"/v1/slots/{slot}?section=camping&why=1", edge.token(*scopes, **claims)))


def opened(edge, reply, revoked=NO_LOG):
    return open_given(reply.json()["why"], edge.plane.keys.trust_file(), revoked)


def test_who_asks_gets_what_was_decided_from_what(edge, run):
    """Slot, category, law, policy, component, signals and token life, under the POP's endorsed key."""
    endorse(edge)
    edge.pop.store.history.record(
        Row(subject_of(visitor(3)), 1, "behavioral", "purchase", "tent-two", ("camping", "tent"))
    )
    reply = asked(edge, run, "contextual", "behavioral", slot="member-banner", sub=visitor(3))
    receipt = opened(edge, reply)

    assert (receipt.iss, receipt.slot, receipt.category) == (ID, "member-banner", "behavioral")
    assert (receipt.jurisdiction, receipt.at) == ("EU", edge.clock.now())
    assert receipt.token_exp == edge.clock.now() + 300
    assert receipt.policy_hash == edge.pop.sync.trust_state.policy.hash
    assert receipt.component == native_functions()[1].digest
    assert receipt.input.signals.history == (Interaction("purchase", "tent-two", ("camping", "tent"), 0),)
    assert receipt.input.signals.page.section == "camping"
    assert receipt.output.asset == reply.json()["asset"]


def test_the_rest_of_the_answer_is_as_without(edge, run):
    """A receipt changes nothing of the decision, its addresses or its headers but for the length."""
    token = edge.token("contextual")
    without, with_why = run(edge.get(SLOT, token)), run(edge.get(f"{SLOT}&why=1", token))
    kept = {name: value for name, value in with_why.json().items() if name != "why"}

    assert kept == without.json()
    assert with_why.header("content-length") == str(len(with_why.body))
    assert with_why.header("cache-control") == "private, no-store"


@pytest.mark.parametrize("query", ["", "&why=0", "&why=11", "&whywhy=1x", "&section=x&why=", "&why=0&why=1"])
def test_who_does_not_ask_gets_none(edge, run, query):
    """Of a field that comes twice the first counts."""
    assert "why" not in run(edge.get(SLOT + query, edge.token("contextual"))).json()


def test_a_default_has_no_receipt_and_is_everybodys(edge, run):
    """A hundred people without effect ask why: the same bytes as for who does not ask."""

    async def everybody():
        return [await ask(edge.pop.public_app, "GET", f"{SLOT}&why=1", headers) for headers in a_hundred_ways(edge)]

    expected = run(ask(edge.pop.public_app, "GET", SLOT, {}))

    assert {reply.fixed for reply in run(everybody())} == {expected.fixed}


def test_a_no_while_it_is_decided_leaves_no_receipt(tmp_path, catalogue, run):
    """The receipt is made after the last look at the revocations."""
    _, personalizer = native_functions()
    hesitant = Hesitant(personalizer.runner)
    edge = make_edge(tmp_path, catalogue, parts={"personalizers": {"contextual": type(personalizer)(hesitant)}})
    run(edge.sync())
    token = edge.token("contextual", sub=visitor(5))
    no = Withdrawal("k" * 32, "s" * 43, subject_of(visitor(5)), 2)
    hesitant.meanwhile = lambda: edge.pop.sync.outgoing.withdraw(no)
    reply, default = run(edge.get(f"{SLOT}&why=1", token)), run(edge.get(SLOT))
    run(edge.pop.stop())

    assert hesitant.calls == 1
    assert reply.code == "revoked"
    assert reply.fixed == default.fixed


def test_a_receipt_does_not_name_the_visitor(edge, run):
    """Neither pseudonym nor token."""
    endorse(edge)
    token = edge.token("contextual", sub=visitor(7))
    text = f"{opened(edge, run(edge.get(f'{SLOT}&why=1', token)))}"

    assert visitor(7) not in text
    assert subject_of(visitor(7)) not in text
    assert TOKEN_COOKIE not in text


def test_before_its_key_is_endorsed_a_pop_says_so(edge, run):
    """The receipt comes with `null`, and no verifier takes it."""
    reply = asked(edge, run, "contextual")

    assert reply.json()["why"]["endorsement"] is None
    with pytest.raises(Untrusted, match="endorsement"):
        opened(edge, reply)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"spiffe_id": "spiffe://ui-tools/edge/osaka-1"}, "endorsement"),
        ({"after": 0}, "endorsement"),
        ({"before": -60}, "endorsement"),
        ({"key": True}, "endorsement"),
    ],
)
def test_an_endorsement_of_something_else_is_refused(edge, run, tmp_path, wrong, code):
    """Another POP's, one that has ended or not begun, one of another key."""
    endorse(edge, **{**wrong, **({"key": AttesterKey.open(tmp_path / "other")} if "key" in wrong else {})})

    with pytest.raises(Untrusted) as refusal:
        opened(edge, asked(edge, run, "contextual"))
    assert refusal.value.code == code


def test_a_revoked_key_of_a_pop_is_refused(edge, run):
    """By what the reader knows of the log."""
    endorse(edge)
    reply = asked(edge, run, "contextual")

    with pytest.raises(Untrusted) as refusal:
        opened(edge, reply, frozenset({AttesterKey.open(edge.pop.config.home).kid}))
    assert refusal.value.code == "trust-key-revoked"


def test_one_changed_letter_is_refused(edge, run):
    """In each part of the receipt."""
    endorse(edge)
    why = asked(edge, run, "contextual").json()["why"]
    trust = edge.plane.keys.trust_file()
    for place in range(0, len(why["receipt"]), 7):
        letter = "A" if why["receipt"][place] != "A" else "B"
        text = why["receipt"][:place] + letter + why["receipt"][place + 1 :]
        with pytest.raises(Untrusted):
            open_given({**why, "receipt": text}, trust, NO_LOG)


def test_the_trust_file_is_what_the_pop_believes(edge, run):
    """A browser checks signatures against it; it holds public keys alone."""
    reply = run(edge.get("/v1/trust"))

    assert reply.body == edge.plane.keys.trust_file().to_bytes()
    assert reply.header("cache-control") == "private, no-store"


def test_the_site_says_that_it_abides_by_global_privacy_control(edge, run):
    """Where browsers and people look for it; a hidden file of the site stays hidden."""
    reply = run(edge.get("/.well-known/gpc.json"))

    assert (reply.status, reply.json()["gpc"]) == (200, True)
    assert run(edge.get("/.well-known/else.json")).status == 404
