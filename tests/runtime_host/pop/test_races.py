"""A decision re-checks what was taken back right before its first byte; a write does so in its own transaction."""

import asyncio

import pytest

from consent_core.decision.signals import page_context
from consent_core.errors import Unavailable
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.pipeline import Visit
from runtime_host.pop.stores import Interaction, Withdrawal
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction
from tests.runtime_host.pop.edge import ROOT, Hesitant, make_edge, visitor

HERO = "/v1/images/home-hero?w=120&section=camping"
SLOT = "/v1/slots/home-hero?section=camping"
ME = subject_of("A" * 22)


@pytest.fixture
def slow(tmp_path, catalogue, run):
    """A POP whose functions can be interrupted in the middle of a call."""
    validation = Hesitant(NativeFunction(ROOT / "functions/consent_validation"))
    personalization = Hesitant(NativeFunction(ROOT / "functions/personalization"))
    parts = {
        "validator": ConsentValidator(validation),
        "personalizers": dict.fromkeys(CATEGORIES, Personalizer(personalization)),
    }
    edge = make_edge(tmp_path, catalogue, parts=parts)
    edge.validation, edge.personalization = validation, personalization
    run(edge.sync())
    yield edge
    run(edge.pop.stop())


def withdraw(edge, below=2):
    edge.pop.sync.outgoing.withdraw(Withdrawal("k" * 32, "s" * 43, ME, below))


def revoke_key(edge):
    entry = edge.plane.log("key", edge.plane.keys.current("token").kid)
    edge.pop.store.apply((entry,), edge.plane.origin, edge.plane.head, edge.plane.head, edge.clock.now())


def fall_out_of_sync(edge):
    edge.clock.boot += 61


def expire(edge):
    edge.clock.wall += 400


CHANGES = [withdraw, revoke_key, fall_out_of_sync, expire]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("during", ["validation", "personalization"])
@pytest.mark.parametrize("path", [HERO, SLOT])
def test_what_is_taken_back_during_a_call_is_not_shown(slow, run, change, during, path):
    """The answer is the default, byte for byte, although the call itself had been allowed."""
    default = run(slow.get(path)).fixed
    getattr(slow, during).meanwhile = lambda: change(slow)
    reply = run(slow.get(path, slow.token("contextual")))

    assert reply.fixed == default
    assert reply.code is not None


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_taken_back_during_a_render_is_not_shown(slow, run, change):
    """The decision stood, the picture was being made, the first byte was not out."""
    token = slow.token("contextual")
    default = run(slow.get(HERO)).fixed
    run(slow.get(SLOT, token))  # decided and remembered, not rendered yet
    renderer = slow.pop.renderer
    real = renderer.render

    async def render(recipe):
        rendition = await real(recipe)
        change(slow)
        return rendition

    renderer.render = render
    reply = run(slow.get(HERO, token))

    assert reply.fixed == default


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_taken_back_between_requests_is_not_shown_from_memory(slow, run, change):
    """Token cache, decision memory and asset cache are all warm."""
    token = slow.token("contextual")
    personal = run(slow.get(HERO, token)).fixed
    hits = slow.pop.pipeline.tokens.hits
    assert run(slow.get(HERO, token)).fixed == personal
    assert slow.pop.pipeline.tokens.hits == hits + 1

    change(slow)

    assert run(slow.get(HERO, token)).fixed == run(slow.get(HERO)).fixed != personal


def test_a_revocation_of_somebody_else_changes_nothing(slow, run):
    """The generation moves on for all; what it took decides."""
    token = slow.token("contextual")
    personal = run(slow.get(HERO, token)).fixed
    slow.pop.sync.outgoing.withdraw(Withdrawal("k" * 32, "s" * 43, subject_of(visitor(7)), 9))

    assert run(slow.get(HERO, token)).fixed == personal


def test_a_purged_visitors_event_leaves_no_row(slow, run):
    """The purge arrives while the event's token is being validated."""
    token = slow.token("behavioral")

    def purge():
        entry = slow.plane.log("purge", ME, CATEGORIES, 99)
        slow.pop.store.apply((entry,), slow.plane.origin, slow.plane.head, slow.plane.head, slow.clock.now())

    slow.validation.meanwhile = purge
    reply = run(slow.send("POST", "/v1/events", {"kind": "purchase", "item": "tent"}, token))

    assert (reply.status, reply.json()) == (202, {"kept": 0})
    assert slow.pop.store.database.rows("SELECT count(*) FROM history")[0][0] == 0


def test_history_deleted_by_a_purge_is_not_decided_from(slow, run):
    """The banner was hot; after the purge neither rows nor a remembered decision answer."""
    banner = "/v1/slots/member-banner?section=camping"
    slow.pop.store.history.record(Interaction(ME, 1, "behavioral", "purchase", "kayak", ("water", "kayak")))
    token = slow.token(*CATEGORIES)
    assert run(slow.get(banner, token)).json()["category"] == "behavioral"
    entry = slow.plane.log("purge", ME, CATEGORIES, 99)
    slow.pop.store.apply((entry,), slow.plane.origin, slow.plane.head, slow.plane.head, slow.clock.now())

    assert run(slow.get(banner, token)).json()["category"] == "default"
    assert slow.pop.pipeline.recent.of(ME, slow.pop.sync.trust_state.generation) == ()


def test_a_newer_token_is_not_hit_by_the_old_denial(slow, run):
    """The visitor said no, then yes again: only tokens below that version lost."""
    withdraw(slow, below=2)

    assert run(slow.get(SLOT, slow.token("contextual", ver=1))).code == "revoked"
    assert run(slow.get(SLOT, slow.token("contextual", ver=2))).json()["category"] == "contextual"


def test_an_older_policy_loses_what_it_may_no_longer_allow(slow, run):
    """Contextual stays and asks for a refresh; behavioral and experimental are off."""
    token = slow.token(*CATEGORIES)
    slow.plane.publish(2)
    run(slow.sync())
    hero, banner = run(slow.get(SLOT, token)), run(slow.get("/v1/slots/member-banner?section=camping", token))

    assert (hero.json()["category"], hero.code, hero.header("consent-refresh")) == ("contextual", "policy-stale", "1")
    assert banner.json()["category"] == "contextual"  # its fallback
    assert run(slow.get("/v1/slots/promo-tile", token)).json()["category"] == "default"


def test_an_unknown_policy_is_default_and_asks_for_one_sync(slow, run):
    """However many requests carry it."""
    asked = slow.pop.sync._policy_task
    woken = []
    asked.wake = lambda: woken.append(1)
    token = slow.token("contextual", hash="sha256:" + "9" * 64)
    replies = [run(slow.get(SLOT, token)) for _ in range(50)]

    assert {reply.code for reply in replies} == {"policy-unknown"}
    assert len(woken) == 1
    slow.clock.advance(2)
    run(slow.get(SLOT, token))
    assert len(woken) == 2


def test_another_components_yes_is_not_believed(slow, run):
    """The validation component was replaced: what the old one accepted is asked again."""
    token = slow.token("contextual")
    run(slow.get(SLOT, token))
    calls = slow.validation.calls
    run(slow.get(SLOT, token))
    assert slow.validation.calls == calls
    slow.pop.pipeline._validator.digest = "sha256:" + "1" * 64
    run(slow.get(SLOT, token))

    assert slow.validation.calls == calls + 1


def test_many_requests_with_one_new_token_all_get_their_own_answer(slow, run):
    """A burst on a cold cache."""
    token = slow.token("contextual")

    async def burst():
        return await asyncio.gather(*(slow.get(HERO, token if n % 2 else None) for n in range(40)))

    replies = run(burst())

    assert len({reply.fixed for reply in replies[0::2]}) == 1
    assert len({reply.fixed for reply in replies[1::2]}) == 1
    assert replies[0].fixed != replies[1].fixed


def test_an_event_of_a_pop_that_is_not_in_sync_is_not_kept(slow, run):
    """The token is known and good; whether its visitor still agrees is not."""
    token = slow.token("behavioral")
    event = {"kind": "click", "item": "tent"}
    kept = run(slow.send("POST", "/v1/events", event, token)).json()
    fall_out_of_sync(slow)

    assert (kept, run(slow.send("POST", "/v1/events", event, token)).json()) == ({"kept": 1}, {"kept": 0})


def revoke_key_after_a_look(edge, monkeypatch, looks=1):
    """What another process of the POP may do between two lines of this one: after so many looks at the keys."""
    answer, left = edge.pop.sync.trust_state.keys, [looks]

    def keys():
        known = answer()
        left[0] -= 1
        if not left[0]:
            monkeypatch.undo()
            revoke_key(edge)
        return known

    monkeypatch.setattr(edge.pop.sync.trust_state, "keys", keys)


@pytest.mark.parametrize("at", ["validation", "lookup", "first byte"])
def test_a_key_revoked_right_after_it_was_looked_at_is_looked_at_again(slow, run, monkeypatch, at):
    """A generation counts only for what was checked after it was read."""
    token = slow.token("contextual")
    if at != "validation":
        assert run(slow.get(SLOT, token)).json()["category"] == "contextual"
        slow.pop.sync.outgoing.withdraw(Withdrawal("o" * 32, "s" * 43, "b" * 64, 2))  # somebody's: the generation moves
    if at == "first byte":
        slow.personalization.meanwhile = lambda: None
        place = slow.pop.delivery.stock.places["home-hero"]
        visit = Visit({b"authorization": b"Bearer " + token.encode()}, place, page_context(b""))
        run(slow.pop.pipeline.decide(visit))
        slow.pop.sync.outgoing.withdraw(Withdrawal("p" * 32, "s" * 43, "c" * 64, 2))
        revoke_key_after_a_look(slow, monkeypatch)
        slow.pop.pipeline.still_holds(visit)
    else:
        revoke_key_after_a_look(slow, monkeypatch, 2 if at == "validation" else 1)  # the first goes to the function
        run(slow.get(SLOT, token))
    reply = run(slow.get(SLOT, token))

    assert reply.json()["category"] == "default"
    assert reply.code in ("token-key-revoked", "token-kid")  # remembered, or validated again


def test_a_decision_does_not_hold_where_the_disk_cannot_say_so(slow, run, monkeypatch):
    """An error while looking is no yes: the answer is the default."""
    token = slow.token("contextual")

    def fails(*_):
        raise Unavailable("store-io", "no")

    def meanwhile():
        slow.pop.sync.outgoing.withdraw(Withdrawal("q" * 32, "s" * 43, "d" * 64, 2))
        monkeypatch.setattr(slow.pop.sync.trust_state, "denied", fails)

    slow.personalization.meanwhile = meanwhile
    assert run(slow.get(SLOT, token)).fixed == run(slow.get(SLOT)).fixed
