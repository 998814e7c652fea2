"""The last word wins, at one POP and at two, also if messages are late, lost or cut off (issue 10 §1, §2, §7)."""

import hashlib

import pytest

from consent_core.formats.refusals import Refusal, write_refusals
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.session import credentials_of, stored
from consent_core.formats.token import CATEGORIES
from tests.runtime_host.pop.edge import SESSION_COOKIE, TOKEN_COOKIE
from tests.runtime_host.pop.shop import HERO, Cable, make_pop

REFUSALS = "__Host-consent-no"
MODULE = {"consent_client": "sdk"}


def refusal(*categories, number, key="k"):
    """The cookie as the page's module writes it."""
    entry = Refusal(number, categories, key * 21 + "A", 1_800_000_000)
    return (write_refusals("A" * 22, [entry]), "/")


def key_of(letter):
    return letter * 21 + "A"


async def follow(pop):
    await pop.sync.fetch_policy()
    await pop.sync.fetch_keys()
    await pop.sync.poll()


@pytest.fixture
def osaka(shop, run):
    """A second POP over the same control plane, with a cable of its own."""
    cable = Cable(shop.plane)
    pop = make_pop(shop.directory, shop.plane, cable, shop.clock, pop="osaka-1")
    run(follow(pop))
    yield pop
    run(pop.stop())


def at(pop, browser):
    """The same browser at another POP."""
    return type(browser)(pop, browser.headers, browser.jar)


def test_a_no_and_the_yes_after_it_end_as_they_were_said(shop, run):
    """One visitor, nothing concurrent: the queued "no" arrives after the yes and takes nothing of it."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", "behavioral", number=1))
    shop.cable.cut = True
    no = run(visitor.ask("DELETE", "/v1/consent", {"categories": ["behavioral"], "number": 2}))
    shop.cable.cut = False
    visitor.jar[REFUSALS] = refusal("behavioral", number=2)
    late = [*shop.pop.store.outbox.pending()]
    yes = run(visitor.grant("behavioral", number=3))
    del visitor.jar[REFUSALS]
    run(shop.pop.sync.outgoing.forward())
    run(shop.pop.sync.poll())
    state = run(visitor.ask("GET", "/v1/consent")).json()

    assert (no.status, len(late)) == (202, 1)
    assert set(yes.json()["choices"]) == set(state["choices"]) == {"contextual", "behavioral"}
    assert run(visitor.shown("/v1/slots/member-banner")) == "behavioral"


def test_a_yes_to_something_else_does_not_overtake_a_no_that_still_waits_here(shop, run):
    """A browser without `consent-no`: what waits in this POP's outbox narrows the token of the yes after it."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", "behavioral", number=1))
    shop.cable.cut = True
    no = run(visitor.ask("DELETE", "/v1/consent", {"categories": ["behavioral"], "number": 2}))
    shop.cable.cut = False
    yes = run(visitor.grant("experimental", number=3)).json()
    shown = run(visitor.shown("/v1/slots/member-banner"))

    assert no.status == 202
    assert "behavioral" not in {*yes["choices"], *yes["categories"], shown}
    assert "experimental" in yes["choices"]


def test_an_early_yes_that_comes_late_does_not_survive_the_no_after_it(shop, run):
    """A copy of the yes arrives again after the "no": what was said last holds."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    run(visitor.grant("behavioral", number=2))
    run(visitor.ask("DELETE", "/v1/consent", {"categories": ["behavioral"], "number": 3}))
    late = run(visitor.grant("behavioral", number=2))

    assert late.json()["choices"] == ["contextual"]


def test_a_yes_says_that_it_overrules_the_refusal_it_was_clicked_over(shop, run):
    """Its own answer names the category as effective; a refusal that was said after it, or not about it, stays."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", "behavioral", number=1))
    visitor.jar[REFUSALS] = refusal("contextual", "experimental", number=2)
    over = run(visitor.grant("contextual", number=3)).json()
    visitor.jar[REFUSALS] = refusal("behavioral", number=9)
    below = run(visitor.grant("behavioral", number=8)).json()

    assert over["categories"] == ["contextual", "behavioral"]
    assert "behavioral" not in below["categories"]


def test_three_yeses_at_once_are_all_recorded(shop, run):
    """Changes add: none replaces what another recorded."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    jar = dict(visitor.jar)
    for number, category in enumerate(("behavioral", "experimental"), 2):
        tab = shop.browser(**MODULE)
        tab.jar = dict(jar)
        run(tab.grant(category, number=number))
    state = run(tab.ask("POST", "/v1/consent/refresh", {})).json()

    assert state["choices"] == ["contextual", "behavioral", "experimental"]


def test_a_lost_answer_locks_nobody_out(shop, run):
    """The control plane recorded the yes and died: the same click again gives the same record, not a new visitor."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    shop.cable.lose_answers = True
    lost = run(visitor.ask("POST", "/v1/consent", {"grant": ["behavioral"], "number": 2},
                           idempotency_key=key_of("y")))  # fmt: skip
    shop.cable.lose_answers = False
    again = run(visitor.ask("POST", "/v1/consent", {"grant": ["behavioral"], "number": 2},
                            idempotency_key=key_of("y")))  # fmt: skip

    assert (lost.status, again.status) == (503, 200)
    assert again.json()["choices"] == ["contextual", "behavioral"]
    assert shop.plane.database is not None
    assert again.json()["ver"] == 2


def test_the_no_of_a_cut_off_pop_holds_at_the_next_one(shop, run, osaka):
    """202 there; the same cookies here get no token against it, and the record has it before the cut heals."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    run(at(osaka, visitor).ask("GET", "/v1/consent"))
    shop.cable.cut = True
    token = visitor.jar[TOKEN_COOKIE]
    visitor.jar[REFUSALS] = refusal("contextual", number=2)
    no = run(visitor.ask("DELETE", "/v1/consent", {"number": 2}, idempotency_key=key_of("k")))
    visitor.jar[TOKEN_COOKIE] = token  # also a browser that keeps its token is shown the default
    elsewhere = at(osaka, visitor)
    shown = run(elsewhere.shown())
    state = run(elsewhere.ask("GET", "/v1/consent")).json()
    shop.cable.cut = False
    run(shop.pop.sync.outgoing.forward())

    assert (no.status, shown) == (202, "default")
    assert (state["categories"], TOKEN_COOKIE in visitor.jar, state["superseded"]) == ([], False, [])
    assert state["choices"] == []
    assert run(at(osaka, visitor).ask("GET", "/v1/consent")).json()["choices"] == []


def test_at_a_pop_that_never_saw_the_session_the_cookie_counts_once_its_owner_is_known(shop, run, osaka):
    """The first look tells whose it is; the "no" is then said there too, once."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    visitor.jar[REFUSALS] = refusal("contextual", number=2)
    elsewhere = at(osaka, visitor)
    first = run(elsewhere.ask("GET", "/v1/consent"))
    for _ in range(3):
        state = run(elsewhere.ask("GET", "/v1/consent")).json()

    assert first.json()["categories"] == state["categories"] == []
    assert state["choices"] == []
    assert len(osaka.store.database.rows("SELECT key FROM outbox")) == 1


def test_a_no_with_a_session_this_pop_never_saw_denies_the_presented_token_by_its_text(shop, run, osaka):
    """Whose it is cannot be known while cut off: that token is worth nothing here any more, no other is touched."""
    visitor, bystander = shop.browser(**MODULE), shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    run(bystander.grant("contextual", number=1))
    elsewhere = at(osaka, visitor)
    token = visitor.jar[TOKEN_COOKIE][0]
    before = run(shop.browser(authorization=f"Bearer {token}").shown())
    osaka_cable = osaka.sync._client._transport
    osaka_cable.cut = True
    no = run(elsewhere.ask("DELETE", "/v1/consent", {"number": 2}))
    copy = at(osaka, shop.browser(authorization=f"Bearer {token}"))
    copied = run(copy.ask("GET", HERO))

    assert (before, no.status) == ("contextual", 202)
    assert (copied.json()["category"], copied.code) == ("default", "token-revoked")
    assert run(at(osaka, bystander).shown()) == "contextual"
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert osaka.store.database.rows("SELECT digest FROM denied_texts") == [(digest,)]
    osaka_cable.cut = False
    run(osaka.sync.outgoing.forward())
    assert run(visitor.ask("GET", "/v1/consent")).json()["choices"] == []


def test_a_copied_token_with_an_invented_refusal_takes_nothing_from_its_owner(shop, run):
    """Without the session the cookie narrows its own request, and nothing is denied or forwarded."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    thief = shop.browser(authorization=f"Bearer {visitor.jar[TOKEN_COOKIE][0]}")
    thief.jar[REFUSALS] = refusal("contextual", number=2)
    shown = [run(thief.shown()), run(thief.ask("GET", "/v1/consent")).json()["categories"]]

    assert shown == ["default", []]
    assert shop.pop.store.outbox.pending() == ()
    assert run(visitor.shown()) == "contextual"


def test_a_refusal_with_an_unbelievable_number_narrows_and_is_listed_to_go(shop, run):
    """A planted one locks no visitor out: it is never said on the visitor's behalf."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    visitor.jar[REFUSALS] = refusal("contextual", number=10_000)
    shown = run(visitor.shown())
    state = run(visitor.ask("GET", "/v1/consent")).json()
    del visitor.jar[REFUSALS]

    assert (shown, state["categories"]) == ("default", [])
    assert state["superseded"] == [{"key": key_of("k"), "categories": ["contextual"]}]
    assert run(visitor.ask("GET", "/v1/consent")).json()["choices"] == ["contextual"]
    assert run(visitor.shown()) == "contextual"


def test_what_a_later_yes_overtook_is_listed_to_go(shop, run, osaka):
    """The answer to the yes was lost, and with it the removal: the next answer says which entry is over."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    visitor.jar[REFUSALS] = refusal("contextual", number=2)
    run(visitor.ask("DELETE", "/v1/consent", {"number": 2}, idempotency_key=key_of("k")))
    granted = run(visitor.grant("contextual", number=3))
    state = run(at(osaka, visitor).ask("GET", "/v1/consent")).json()

    assert granted.json()["superseded"] == state["superseded"] == [{"key": key_of("k"), "categories": ["contextual"]}]


def test_a_broken_refusal_closes_the_request_and_no_token_is_handed_out(shop, run):
    """Somebody damaged it: everything is refused, nothing is forwarded."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    visitor.jar[REFUSALS] = ("1.broken", "/")
    state = run(visitor.ask("GET", "/v1/consent")).json()

    assert (state["categories"], TOKEN_COOKIE in visitor.jar) == ([], False)
    assert shop.pop.store.outbox.pending() == ()


def test_what_came_after_a_later_yes_stays(shop, run):
    """History rows carry their token's version: a late "no" deletes what is older than it, and nothing newer."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("behavioral", number=1))
    bought = {"kind": "purchase", "item": "tent", "tags": ["camping"]}
    run(visitor.ask("POST", "/v1/events", bought))
    shop.cable.cut = True
    run(visitor.ask("DELETE", "/v1/consent", {"categories": ["behavioral"], "number": 2}))
    shop.cable.cut = False
    run(visitor.grant("behavioral", number=3))
    run(visitor.ask("POST", "/v1/events", {**bought, "item": "kayak"}))
    run(shop.pop.sync.outgoing.forward())
    run(shop.pop.sync.poll())

    assert shop.pop.store.database.rows("SELECT item FROM history") == [("kayak",)]


def test_the_receipt_is_of_the_version_that_holds(shop, run):
    """After a "no" that is still on its way there is none; afterwards it is that no's own."""
    visitor = shop.browser(**MODULE)
    yes = run(visitor.grant("contextual", "behavioral", number=1)).json()
    shop.cable.cut = True
    pending = run(visitor.ask("DELETE", "/v1/consent", {"number": 2})).json()
    asked = run(visitor.ask("GET", "/v1/consent")).json()
    shop.cable.cut = False
    healed = run(visitor.ask("GET", "/v1/consent")).json()

    assert pending["receipt"] is asked["receipt"] is None
    assert (asked["pending"], asked["choices"]) == (True, [])
    assert "pending" not in healed
    assert healed["receipt"] not in (None, yes["receipt"])


@pytest.mark.parametrize("granted", [True, False])
def test_a_signal_is_shown_to_be_honoured_with_and_without_a_session(shop, run, granted):
    """In California `Sec-GPC: 1` stops behavioral at this very request, also where a yes was recorded without it."""
    pop = make_pop(shop.directory, shop.plane, Cable(shop.plane), shop.clock, pop="la-1", jurisdiction="US-CA")
    run(follow(pop))
    visitor = at(pop, shop.browser(**MODULE))
    if granted:
        run(visitor.grant("contextual", "behavioral", number=1))
    state = run(visitor.ask("GET", "/v1/consent", sec_gpc="1")).json()
    without = run(visitor.ask("GET", "/v1/consent")).json()
    run(pop.stop())

    assert (state["gpc_honoured"], without["gpc_honoured"]) == (True, False)
    assert "gpc" in state["reasons"]["behavioral"]
    assert "behavioral" not in state["categories"]
    assert "gpc" not in without["reasons"]["behavioral"]


def test_a_session_is_presented_soon_after_its_yes(shop, run):
    """A record whose session was never presented is swept: the first look of the page presents it."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    shop.cable.requests.clear()
    run(visitor.ask("GET", "/v1/consent"))
    run(visitor.ask("GET", "/v1/consent"))

    assert shop.cable.requests == [("POST", "/v1/consents/-/refresh")]


def test_a_session_of_the_first_release_goes_on(shop, run):
    """Its cookie has no prefix and its row another hash: the "no" counts by the subject that this POP knows."""
    visitor = shop.browser(**MODULE)
    run(visitor.grant("contextual", number=1))
    secret = visitor.jar[SESSION_COOKIE][0].removeprefix("2.")
    old = hashlib.sha256(secret.encode()).hexdigest()
    with shop.pop.store.database.transaction():
        shop.pop.store.database.run("UPDATE sessions SET session=?", (old,))
    visitor.jar[SESSION_COOKIE] = (secret, "/v1/consent")
    token = visitor.jar[TOKEN_COOKIE][0]
    reply = run(visitor.withdraw())

    assert reply.status == 200
    assert run(shop.browser(authorization=f"Bearer {token}").ask("GET", HERO)).code == "revoked"


def test_erasure_takes_the_cookies_from_the_browser(shop, run):
    """Token, session and refusals of who was erased; a browser whose token has run out keeps what names nobody."""
    visitor, elsewhere = shop.browser(**MODULE), shop.browser(**MODULE)
    run(visitor.grant("contextual", "behavioral", number=1))
    visitor.jar[REFUSALS] = refusal("experimental", number=2)
    elsewhere.jar = {name: kept for name, kept in visitor.jar.items() if name != TOKEN_COOKIE}
    owner = shop.pop.store.sessions.find(stored(credentials_of(visitor.jar[SESSION_COOKIE][0].encode()).grant))
    shop.plane.revoking.revoke(RevocationRequest("purge", owner.subject, CATEGORIES))
    run(shop.pop.sync.poll())
    answer, late = (run(one.ask("GET", "/v1/consent")) for one in (visitor, elsewhere))

    assert (answer.header("consent-edge-code"), late.header("consent-edge-code")) == ("session-unknown",) * 2
    assert visitor.jar == {}
    assert elsewhere.jar.keys() == {SESSION_COOKIE, REFUSALS}
