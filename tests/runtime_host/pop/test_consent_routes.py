"""A visitor's own consent, from the browser through the POP to the real control plane and back."""

import base64
import gzip
import json

import pytest

from consent_core.errors import Unavailable
from consent_core.formats.session import credentials_of, stored
from runtime_host.pop.stores import Withdrawal
from tests.runtime_host.pop.edge import SESSION_COOKIE, TOKEN_COOKIE
from tests.runtime_host.pop.shop import HERO, make_pop

BANNER = "/v1/slots/member-banner?section=water"


def test_granting_sets_both_cookies_and_changes_the_slot(shop, run):
    """The token never appears in a body, and no answer but this one sets cookies."""
    visitor = shop.browser()
    before = run(visitor.shown())
    reply = run(visitor.grant("contextual"))
    cookies = [value.decode() for name, value in reply.headers if name == b"set-cookie"]
    state = reply.json()

    assert before == "default"
    assert state["choices"] == state["categories"] == ["contextual"]
    assert state["receipt"].count(".") == 2
    assert cookies[0].startswith(f"{TOKEN_COOKIE}=")
    assert cookies[0].endswith("; Max-Age=300; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert cookies[1].startswith(f"{SESSION_COOKIE}=")
    assert "; Path=/v1/consent; HttpOnly; SameSite=Strict; Secure" in cookies[1]
    assert visitor.jar[TOKEN_COOKIE][0] not in reply.body.decode()
    assert run(visitor.shown()) == "contextual"


def test_decisions_come_along_with_the_grant(shop, run):
    """A page that says which slots it shows saves a round trip; what it gets is what it would have got."""
    visitor = shop.browser()
    wanted = [{"request": name} for name in ("home-hero?section=camping", "gone?x=1", "member-banner")]
    reply = run(visitor.grant("contextual", slots=wanted))
    along = {entry["request"]: entry["decision"] for entry in reply.json()["slots"]}

    assert list(along) == ["home-hero?section=camping", "member-banner"]
    assert along["home-hero?section=camping"] == run(visitor.ask("GET", HERO)).json()


def test_what_is_taken_back_while_bundled_is_decided_does_not_come_along(shop, run):
    """The first slot was decided; while the second's picture was made the visitor said no in another tab."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    real = shop.pop.renderer.render

    async def render(recipe):
        shop.pop.renderer.render = real
        subject = shop.pop.store.database.rows("SELECT subject FROM sessions")[0][0]
        shop.pop.sync.outgoing.withdraw(Withdrawal("k" * 32, "s" * 43, subject, 99))
        return await real(recipe)

    shop.pop.renderer.render = render
    wanted = [{"request": "home-hero?section=camping"}, {"request": "member-banner", "pixels": 100}]
    reply = run(visitor.grant("contextual", slots=wanted, accept="image/webp"))

    assert [entry["decision"]["category"] for entry in reply.json()["slots"]].count("contextual") == 0


def test_pictures_on_screen_come_along_as_their_own_address_gives_them(shop, run):
    """The bytes are those of the narrowest rendition that fills the space, in a format the page accepts."""
    visitor = shop.browser()
    wanted = [{"request": "home-hero?section=camping", "pixels": 100}, {"request": "member-banner", "pixels": 0}]
    reply = run(visitor.grant("contextual", slots=wanted, accept="image/webp"))
    hero, banner = (entry["decision"]["rendition"] for entry in reply.json()["slots"])
    sizes = {int(part.split()[1][:-1]): part.split()[0] for part in hero["srcset"].split(", ")}
    address = sizes[min(width for width in sizes if width >= 85)]
    alone = run(visitor.ask("GET", address, accept="image/webp"))

    assert "inline" not in banner
    assert hero["inline"]["type"] == "image/webp"
    assert base64.b64decode(hero["inline"]["base64"]) == alone.body


def test_the_default_comes_along_with_a_withdrawal(shop, run):
    """After a "no" the page has the default at hand without asking again."""
    visitor = shop.browser()
    default = run(visitor.ask("GET", HERO)).json()
    run(visitor.grant("contextual"))
    reply = run(visitor.ask("DELETE", "/v1/consent", {"slots": [{"request": "home-hero?section=camping"}]}))

    assert reply.status == 200
    assert [entry["decision"] for entry in reply.json()["slots"]] == [default]


def test_what_comes_along_is_compressed_for_whoever_takes_it(shop, run):
    """The same JSON in fewer bytes; without the header it stays as it is."""
    wanted = [{"request": "home-hero?section=camping", "pixels": 100}]
    visitor = shop.browser()
    body = {"grant": ["contextual"], "slots": wanted, "accept": "image/webp"}
    reply = run(visitor.ask("POST", "/v1/consent", body, accept_encoding="br, gzip"))
    headers = dict(reply.headers)
    plain = run(shop.browser().grant("contextual", slots=wanted, accept="image/webp"))

    assert b"content-encoding" not in dict(plain.headers)
    assert headers[b"content-encoding"] == b"gzip"
    assert int(headers[b"content-length"]) == len(reply.body)
    assert json.loads(gzip.decompress(reply.body))["slots"][0]["decision"]["rendition"]["inline"]


def test_nobody_finds_on_a_disk_what_grants(shop, run):
    """Neither the POP's nor the control plane's files hold the cookie's secret, or the credential that grants."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    secret = visitor.jar[SESSION_COOKIE][0]
    grant = credentials_of(secret.encode()).grant
    on_disk = b"".join(path.read_bytes() for path in shop.directory.rglob("*") if path.is_file())

    assert secret.encode() not in on_disk
    assert grant.encode() not in on_disk
    assert stored(grant).encode() in on_disk


def test_an_old_secret_grants_until_the_next_one_was_presented(shop, run):
    """A lost answer locks nobody out; once the new cookie has come back, the old one is another tab's."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    other_tab = shop.browser()
    other_tab.jar = dict(visitor.jar)
    run(visitor.grant("contextual", "behavioral"))
    assert run(visitor.ask("POST", "/v1/consent/refresh", {})).status == 200
    late = run(other_tab.grant("contextual"))

    assert (late.status, late.json()["error"]["code"]) == (409, "session-rotated")
    assert run(visitor.shown()) == "contextual"


def test_a_fixed_session_gets_a_new_identity(shop, run):
    """Session fixation: a secret that the server never issued is nobody's."""
    planted = shop.browser()
    planted.jar[SESSION_COOKIE] = ("attacker-chose-this", "/v1/consent")
    run(planted.grant("contextual"))

    assert planted.jar[SESSION_COOKIE][0] != "attacker-chose-this"
    assert run(planted.ask("POST", "/v1/consent/refresh", {})).status == 200
    attacker = shop.browser()
    attacker.jar[SESSION_COOKIE] = ("attacker-chose-this", "/v1/consent")
    assert run(attacker.ask("POST", "/v1/consent/refresh", {})).json()["error"]["code"] == "session-unknown"


def test_a_page_load_fetches_a_fresh_token_where_one_is_due(shop, run):
    """The token ran out, the session did not: reading the state is enough."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    del visitor.jar[TOKEN_COOKIE]
    shop.clock.advance(30)
    state = run(visitor.ask("GET", "/v1/consent")).json()

    assert state["categories"] == ["contextual"]
    assert TOKEN_COOKIE in visitor.jar


def test_a_prefetched_state_changes_nothing(shop, run):
    """Nobody has looked at the page yet: no token is fetched for it."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    del visitor.jar[TOKEN_COOKIE]
    shop.cable.requests.clear()
    run(visitor.ask("GET", "/v1/consent", sec_purpose="prefetch;prerender"))

    assert (TOKEN_COOKIE in visitor.jar, shop.cable.requests) == (False, [])


def test_the_state_is_told_without_a_control_plane(shop, run):
    """Cut off, a page still learns what holds by the token it has."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    shop.cable.cut = True
    shop.restart()
    visitor.pop = shop.pop
    state = run(visitor.ask("GET", "/v1/consent"))

    assert (state.status, state.code) == (200, "control-plane-unreachable")
    assert state.json()["categories"] == []  # not in sync since the restart: closed


def test_a_late_refresh_never_brings_an_older_version_back(shop, run):
    """The visitor says no while a refresh is on its way: its answer sets no token."""
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    slow = shop.browser()
    slow.jar = dict(visitor.jar)

    async def race():
        shop.cable.before_answer = visitor.withdraw
        return await slow.ask("POST", "/v1/consent/refresh", {})

    reply = run(race())

    assert TOKEN_COOKIE not in reply.cookies()
    assert reply.json()["categories"] == []
    assert run(slow.shown()) == "default"


def test_gpc_is_honoured_and_shown_in_california(shop, run, tmp_path):
    """`Sec-GPC: 1` in `US-CA`: behavioral is off, and the visitor is told."""

    pop = make_pop(tmp_path, shop.plane, shop.cable, shop.clock, pop="la-1", jurisdiction="US-CA")
    run(pop.sync.fetch_policy())
    run(pop.sync.poll())
    visitor = shop.browser(sec_gpc="1")
    visitor.pop = pop
    state = run(visitor.grant("contextual", "behavioral")).json()
    run(pop.stop())

    assert state["categories"] == ["contextual"]
    assert (state["gpc_honoured"], state["jurisdiction"]) == (True, "US-CA")


def test_a_browser_never_says_where_it_is(shop, run, tmp_path):
    """Without a configured geo header nothing in a request moves the jurisdiction; with one, junk is strictest."""

    plain = run(shop.browser(x_geo="US-CA", x_forwarded_for="1.2.3.4").ask("GET", "/v1/policy")).json()
    pop = make_pop(tmp_path, shop.plane, shop.cable, shop.clock, pop="geo-1", geo_header="x-geo")
    run(pop.sync.fetch_policy())
    places = []
    for value in ("US-CA", "jp", "Mars", ""):
        visitor = shop.browser(x_geo=value)
        visitor.pop = pop
        places.append(run(visitor.ask("GET", "/v1/policy")).json()["jurisdiction"])
    run(pop.stop())

    assert plain["jurisdiction"] == "EU"
    assert places == ["US-CA", "JP", "ZZ", "ZZ"]


def test_events_are_kept_only_with_consent(shop, run):
    """A purchase of somebody who said no leaves no row; of somebody who said yes it changes the banner."""
    silent, open_ = shop.browser(), shop.browser()
    run(silent.grant("contextual"))
    run(open_.grant("contextual", "behavioral"))
    bought = {"kind": "purchase", "item": "kayak", "tags": ["water", "kayak"]}
    kept = [run(visitor.ask("POST", "/v1/events", bought)).json() for visitor in (silent, open_, shop.browser())]
    speculative = run(open_.ask("POST", "/v1/events", bought, sec_purpose="prefetch")).json()

    assert kept == [{"kept": 0}, {"kept": 1}, {"kept": 0}]
    assert speculative == {"kept": 0}
    assert shop.pop.store.database.rows("SELECT count(*) FROM history")[0][0] == 1
    assert run(open_.ask("GET", BANNER)).json()["category"] == "behavioral"


def test_rows_run_out_to_the_second(shop, run):
    """Seven days later the banner no longer knows, although nobody swept and the page was hot."""
    visitor = shop.browser()
    run(visitor.grant("behavioral"))
    run(visitor.ask("POST", "/v1/events", {"kind": "purchase", "item": "kayak", "tags": ["water", "kayak"]}))
    subject = shop.pop.store.database.rows("SELECT subject FROM history")[0][0]
    recent = shop.pop.pipeline.recent
    shop.clock.advance(7 * 86_400 - 1)
    last_second = recent.of(subject, 0)
    shop.clock.wall += 1  # the kept entry is still young by its own age
    after = recent.of(subject, 0)

    assert (len(last_second), after) == (1, ())


@pytest.mark.parametrize("name", [b"__Host-consent-token", b"consent-token"])
def test_one_name_of_each_cookie_is_active(shop, run, tmp_path, name):
    """Plain names only where the deployment says so; the other spelling is then not read."""

    secure = name.startswith(b"__Host-")
    pop = make_pop(tmp_path, shop.plane, shop.cable, shop.clock, pop="x-1", secure_cookies=secure)
    run(pop.sync.fetch_policy())
    run(pop.sync.fetch_keys())
    run(pop.sync.poll())
    visitor = shop.browser()
    visitor.pop = pop
    run(visitor.grant("contextual"))
    token = visitor.jar[name.decode()][0]
    other = "consent-token" if secure else TOKEN_COOKIE
    shown = [run(visitor.ask("GET", HERO, cookie=f"{n}={token}")).json()["category"] for n in (name.decode(), other)]
    run(pop.stop())

    assert shown == ["contextual", "default"]


def test_what_a_restored_control_plane_needs_is_kept_and_never_shown(shop, run):
    """The signed proof of each yes, also of one of which nothing counts, is on this POP's disk and nowhere else."""
    visitor = shop.browser()
    first = run(visitor.grant("contextual"))
    second = run(visitor.grant("contextual"))
    kept = [row.body.decode() for row in shop.pop.store.raw.after(0) if row.kind == "grant"]

    assert len(kept) == 2
    for reply in (first, second):
        assert not [proof for proof in kept if proof.encode() in reply.body + repr(reply.headers).encode()]


def test_a_yes_is_answered_although_its_proof_cannot_be_kept(shop, run, monkeypatch):
    """It is recorded: a disk that refuses now loses what a restore would need, and nothing of the visitor's."""
    visitor = shop.browser()

    def refuse(kind, body):
        raise Unavailable("store-io", "full")

    monkeypatch.setattr(shop.pop.store.raw, "keep", refuse)
    assert run(visitor.grant("contextual")).json()["choices"] == ["contextual"]
    assert run(visitor.shown()) == "contextual"
