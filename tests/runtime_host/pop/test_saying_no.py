"""A "no", from the browser through the POP to the real control plane: final in every state of both."""

import asyncio

import pytest

from consent_core.formats.refusals import Refusal, read_refusals, write_refusals
from tests.runtime_host.pop.edge import BROWSER, SESSION_COOKIE, TOKEN_COOKIE, ask
from tests.runtime_host.pop.shop import HERO

REFUSALS = "__Host-consent-no"


def kept(*categories, number=9, key="k"):
    """A value of `consent-no` as the page's module writes it."""
    return write_refusals("A" * 22, [Refusal(number, categories, key * 21 + "A", 1_800_000_000)])


@pytest.mark.parametrize(
    "bundled",
    [
        {"slots": ["home-hero"]},
        {"slots": [{"request": "../etc"}, {"pixels": 3}, None, 7]},
        {"slots": [{"request": "home-hero", "pixels": -1}]},
        {"slots": [{"request": "home-hero", "pixels": 10**6}]},
        {"slots": [{"request": "home-hero", "pixels": "wide"}]},
        {"slots": [{"request": "home-hero"}] * 9},
        {"slots": [{"request": "home-hero?path=/" + "x" * 1_500}] * 60},
        {"slots": [{"request": f"home-hero?path=/über-uns&n={n}"} for n in range(400)]},
        {"slots": [{"request": "home-hero?path=/a%20b&section=Camping&language=zh_CN"}]},
        {"slots": {"request": "home-hero"}},
        {"slots": "all", "accept": 7},
        {"slots": [{"request": "home-hero"}], "accept": "\n"},
        {"slots": [{"request": "home-hero?path=/\ud800"}, {"request": "home-hero?path=/\udfff&x=\x00"}]},
    ],
)
def test_what_should_come_along_neither_refuses_nor_delays_a_change(shop, run, bundled):
    """It is cut and dropped one by one; the yes and the "no" are what they are."""
    visitor = shop.browser()
    yes = run(visitor.grant("contextual", **bundled))
    no = run(visitor.ask("DELETE", "/v1/consent", bundled))

    assert (yes.status, yes.json()["categories"]) == (200, ["contextual"])
    assert (no.status, no.json()["categories"]) == (200, [])
    assert len(no.json().get("slots", [])) <= 8
    assert run(visitor.shown()) == "default"


def test_a_companion_that_hangs_holds_nothing_up(shop, run):
    """A function that does not answer: the change is answered all the same, without that slot."""
    visitor = shop.browser()

    async def forever(*_):
        await asyncio.sleep(3_600)

    shop.pop.delivery.decided = forever
    reply = run(visitor.grant("contextual", slots=[{"request": "home-hero"}]))

    assert (reply.status, reply.json()["slots"]) == (200, [])


@pytest.mark.parametrize(
    "body",
    [{"number": "nine"}, {"number": -1}, {"number": 2**50}, {"number": True}, {"unknown": 1}, {"slots": 7},
     {"categories": ["contextual", "tomorrow"]}],
)  # fmt: skip
def test_what_besides_the_categories_cannot_be_read_does_not_keep_a_no_out(shop, run, body):
    """A module of another version, a number that is none."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))

    assert run(visitor.ask("DELETE", "/v1/consent", body)).status == 200
    assert run(visitor.shown()) == "default"


def test_a_number_of_five_thousand_digits_does_not_keep_a_no_out(shop, run):
    """It is no number of a click; the "no" counts as said on arrival."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    cookies = "; ".join(f"{name}={value}" for name, (value, _) in visitor.jar.items())
    body = b'{"number":' + b"9" * 5_000 + b"}"
    reply = run(ask(shop.pop.public_app, "DELETE", "/v1/consent", {**BROWSER, "cookie": cookies}, body))

    assert reply.status == 200
    assert run(visitor.shown()) == "default"


def test_withdrawing_all_brings_the_default_back_at_once(shop, run):
    """200 with the receipt of that "no"; the token is gone here and dead everywhere at this POP."""
    visitor = shop.browser()
    before = run(visitor.grant("contextual", "behavioral")).json()
    token = visitor.jar[TOKEN_COOKIE][0]
    reply = run(visitor.withdraw())
    state = reply.json()

    assert reply.status == 200
    assert state["choices"] == state["categories"] == []
    assert state["revoked"] is True
    assert "pending" not in state
    assert state["receipt"] not in (None, before["receipt"])
    assert TOKEN_COOKIE not in visitor.jar
    assert run(visitor.shown()) == "default"
    assert run(visitor.ask("GET", "/v1/consent")).json()["receipt"] == state["receipt"]
    replayed = run(shop.browser(authorization=f"Bearer {token}").ask("GET", HERO))
    assert (replayed.json()["category"], replayed.code) == ("default", "revoked")


def test_a_no_that_the_disk_does_not_keep_is_told_to_the_control_plane(shop, run):
    """200: it holds everywhere, although this POP cannot write it down."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    subject = shop.pop.store.database.rows("SELECT subject FROM sessions WHERE subject<>''")[0][0]
    shop.pop.store.database._connection.execute("PRAGMA query_only=ON")
    reply = run(visitor.withdraw())
    shown = run(visitor.shown())
    shop.pop.store.database._connection.execute("PRAGMA query_only=OFF")
    run(shop.pop.sync.poll())

    assert (reply.status, shown) == (200, "default")
    assert "contextual" in shop.pop.sync.trust_state.denied(subject, 1)


def test_a_no_that_nothing_keeps_takes_the_token_all_the_same(shop, run):
    """503, because nothing may be promised; but this browser gets the default, and the page may say "no" again."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    shop.pop.store.database._connection.execute("PRAGMA query_only=ON")
    shop.cable.cut = True
    refused = run(visitor.withdraw())
    shop.cable.cut = False

    assert (refused.status, refused.json()["error"]["code"]) == (503, "store-io")
    assert run(visitor.shown()) == "default"

    shop.pop.store.database._connection.execute("PRAGMA query_only=OFF")
    assert run(visitor.withdraw()).status == 200


def test_a_yes_asks_the_disk_first(shop, run):
    """A POP that cannot write records nothing: a yes is not answered 503 after it was recorded."""
    visitor = shop.browser()
    shop.pop.store.database._connection.execute("PRAGMA query_only=ON")
    shop.cable.requests.clear()
    refused = run(visitor.grant("contextual"))
    asked = list(shop.cable.requests)
    shop.pop.store.database._connection.execute("PRAGMA query_only=OFF")

    assert (refused.status, refused.json()["error"]["code"], asked) == (503, "store-io", [])


def test_a_disk_that_fills_up_while_a_yes_is_recorded_does_not_lose_it(shop, run):
    """What the control plane has recorded is answered as recorded."""
    visitor = shop.browser()

    async def fill():
        shop.pop.store.database._connection.execute("PRAGMA query_only=ON")

    shop.cable.before_answer = fill
    reply = run(visitor.grant("contextual"))
    shop.pop.store.database._connection.execute("PRAGMA query_only=OFF")

    assert (reply.status, reply.json()["categories"]) == (200, ["contextual"])
    assert run(visitor.shown()) == "contextual"


def test_a_withdrawal_needs_no_control_plane(shop, run):
    """Cut off: in force at once, also after the process was killed; forwarded once when healed."""
    visitor = shop.browser()
    run(visitor.grant("contextual", "behavioral"))
    token = visitor.jar[TOKEN_COOKIE][0]
    shop.cable.cut = True
    reply = run(visitor.withdraw())
    state = run(visitor.ask("GET", "/v1/consent")).json()
    shop.restart()
    visitor.pop = shop.pop
    shop.cable.cut = False
    run(shop.sync())
    shop.cable.requests.clear()
    still = run(shop.browser(authorization=f"Bearer {token}").ask("GET", HERO))
    run(shop.pop.sync.outgoing.forward())
    run(shop.pop.sync.outgoing.forward())

    assert (reply.status, reply.json()["pending"], reply.json()["receipt"]) == (202, True, None)
    assert (state["pending"], state["choices"], state["receipt"]) == (True, [], None)
    assert (still.json()["category"], still.code) == ("default", "revoked")
    assert shop.cable.requests == [("POST", "/v1/withdrawals")]
    assert run(visitor.ask("GET", "/v1/consent")).json()["choices"] == []


def test_a_partial_withdrawal_while_cut_off_is_202_and_heals(shop, run):
    """What is left gets its token once the control plane can be asked again."""
    visitor = shop.browser()
    run(visitor.grant("contextual", "experimental"))
    shop.cable.cut = True
    reply = run(visitor.withdraw("experimental"))
    shown = run(visitor.shown())
    shop.cable.cut = False
    run(shop.pop.sync.outgoing.forward())
    visitor.jar.pop(REFUSALS)
    state = run(visitor.ask("GET", "/v1/consent")).json()

    assert (reply.status, reply.json()["choices"], shown) == (202, ["contextual"], "default")
    assert (state["choices"], state["categories"]) == (["contextual"], ["contextual"])
    assert run(visitor.shown()) == "contextual"


def test_withdrawing_a_part_keeps_the_rest(shop, run):
    """200 with a token for what is left."""
    visitor = shop.browser()
    run(visitor.grant("contextual", "experimental"))
    reply = run(visitor.withdraw("contextual"))

    assert (reply.status, reply.json()["categories"]) == (200, ["experimental"])
    assert run(visitor.shown()) == "default"
    assert run(visitor.shown("/v1/slots/promo-tile")) == "experimental"


def test_a_token_alone_cannot_change_anything(shop, run):
    """Only the session's secret speaks for the visitor: no token is fetched, and the copy's "no" is its own alone."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    thief = shop.browser()
    thief.jar[TOKEN_COOKIE] = visitor.jar[TOKEN_COOKIE]
    refused = run(thief.ask("POST", "/v1/consent/refresh", {}))
    said = run(thief.withdraw())

    assert (refused.status, refused.json()["error"]["code"]) == (401, "session-missing")
    assert (said.status, TOKEN_COOKIE in thief.jar) == (200, False)
    assert run(visitor.shown()) == "contextual"


def test_a_no_without_a_session_is_kept_in_the_browser(shop, run):
    """200; without the page's module the answer sets the cookie. A notice does not override it, only a yes does."""
    visitor = shop.browser()
    reply = run(visitor.withdraw("contextual"))
    (entry,) = read_refusals([visitor.jar[REFUSALS][0].encode()]).entries
    run(visitor.grant("contextual", source="notice"))
    after_notice = run(visitor.shown())
    run(visitor.grant("contextual"))

    assert (reply.status, entry.categories, entry.number) == (200, ("contextual",), 0)
    assert after_notice == "default"
    assert REFUSALS not in visitor.jar
    assert run(visitor.shown()) == "contextual"


def test_no_answer_to_the_pages_module_touches_the_refusals(shop, run):
    """It keeps them itself, in the tick of the click."""
    visitor = shop.browser(consent_client="sdk")
    visitor.jar[REFUSALS] = (kept("behavioral"), "/")
    replies = [run(visitor.grant("contextual")), run(visitor.withdraw()), run(visitor.ask("GET", "/v1/consent"))]

    assert all("consent-no" not in name for reply in replies for name in reply.cookies())


def test_somebody_elses_token_with_my_session_takes_only_mine(shop, run):
    """A stolen token next to the thief's own session takes nothing from its owner; the "no" is the thief's."""
    owner, thief = shop.browser(), shop.browser()
    run(owner.grant("contextual"))
    run(thief.grant("contextual"))
    theirs = thief.jar[TOKEN_COOKIE][0]
    thief.jar[TOKEN_COOKIE] = owner.jar[TOKEN_COOKIE]
    reply = run(thief.withdraw())

    assert reply.status == 200
    assert TOKEN_COOKIE not in thief.jar
    assert run(owner.shown()) == "contextual"
    assert run(shop.browser(authorization=f"Bearer {theirs}").shown()) == "default"


def test_a_no_holds_for_every_session_presented(shop, run):
    """A sibling host planted one: the POP cannot tell which is meant, so both are, and the token goes."""
    visitor, planter = shop.browser(), shop.browser()
    run(visitor.grant("contextual"))
    run(planter.grant("contextual"))
    mine, planted = visitor.jar[SESSION_COOKIE][0], planter.jar[SESSION_COOKIE][0]
    token = visitor.jar[TOKEN_COOKIE][0]
    cookies = f"{SESSION_COOKIE}={planted}; {SESSION_COOKIE}={mine}; {TOKEN_COOKIE}={token}"
    reply = run(visitor.ask("DELETE", "/v1/consent", {}, cookie=cookies))

    assert (reply.status, reply.cookies()[TOKEN_COOKIE]) == (200, "")
    for copy in (token, planter.jar[TOKEN_COOKIE][0]):
        assert run(shop.browser(authorization=f"Bearer {copy}").shown()) == "default"
    granted = run(visitor.ask("POST", "/v1/consent", {"grant": ["contextual"]}, cookie=cookies))
    assert (granted.status, granted.json()["error"]["code"]) == (400, "cookie-conflict")
    read = run(visitor.ask("GET", "/v1/consent", cookie=cookies))
    assert (read.status, read.code) == (200, "cookie-conflict")


def test_an_api_client_says_no_with_its_session_in_a_header(shop, run):
    """It has no cookies; the token it presents goes, and so does every other of that visitor."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    secret, token = visitor.jar[SESSION_COOKIE][0], visitor.jar[TOKEN_COOKIE][0]
    client = shop.browser(authorization=f"Bearer {token}")
    reply = run(client.ask("DELETE", "/v1/consent", {}, consent_session=secret))

    assert (reply.status, reply.json()["choices"]) == (200, [])
    assert run(client.shown()) == "default"
