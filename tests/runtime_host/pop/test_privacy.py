"""A person asks about their data through a POP: as JSON, and by plain forms on a page without scripts."""

import json
import re
from urllib.parse import urlencode

import pytest

from consent_core.formats.subject import subject_of
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.sealing import public_of, unseal
from runtime_host.pop.evidence.gathering import Gatherer
from runtime_host.pop.serving.routes.privacy.answer import TOLD, answer_page
from runtime_host.pop.serving.routes.privacy.requests import KINDS
from runtime_host.pop.serving.routes.privacy.texts import TEXTS
from runtime_host.pop.sync.fetch import ControlPlane
from tests.runtime_host.pop.edge import BROWSER, ask

PAGE = "/v1/consent/privacy"
REQUESTS = "/v1/consent/requests"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def post(browser, fields, **headers):
    cookies = "; ".join(f"{name}={value}" for name, (value, where) in browser.jar.items() if PAGE.startswith(where))
    sent = {**BROWSER, **FORM, **({"cookie": cookies} if cookies else {}), **headers}
    reply = await ask(browser.pop.public_app, "POST", PAGE, sent, urlencode(fields).encode())
    for key, text in reply.headers:
        if key == b"set-cookie":
            browser._keep(text.decode())
    return reply


@pytest.fixture
def visitor(shop, run):
    """A browser that said yes."""
    browser = shop.browser()
    run(browser.grant("contextual", "behavioral"))
    return browser


def test_a_request_is_made_followed_and_taken_back(shop, run, visitor):
    """By the session's cookie; the secret is there once, and opens the way from elsewhere."""
    made = run(visitor.ask("POST", REQUESTS, {"kind": "deletion"})).json()
    again = run(visitor.ask("POST", REQUESTS, {"kind": "deletion"})).json()
    elsewhere = shop.browser()
    path = f"{REQUESTS}/{made['id']}"

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made["request_secret"])
    assert (again["id"], again["request_secret"]) == (made["id"], None)
    assert [one["id"] for one in run(visitor.ask("GET", REQUESTS)).json()["requests"]] == [made["id"]]
    assert run(elsewhere.ask("GET", path)).status == 404
    assert run(elsewhere.ask("GET", path, request_secret=made["request_secret"])).json()["kind"] == "deletion"
    assert run(visitor.ask("DELETE", path)).json()["state"] == "revoked"
    assert run(visitor.ask("DELETE", path)).json()["error"]["code"] == "request-final"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "everything"}, 400, "bad-request"),
        ({"kind": "deletion", "person": "e9" * 32}, 400, "bad-request"),
        ({"kind": "rectification"}, 400, "bad-request"),
        ({"kind": "rectification", "wish": {"age_band": "Old!"}}, 400, "bad-request"),
    ],
)
def test_what_is_no_request_is_refused(run, visitor, body, status, code):
    """A browser never names a person, and asks for what there is."""
    refused = run(visitor.ask("POST", REQUESTS, body))

    assert (refused.status, refused.json()["error"]["code"]) == (status, code)


def test_without_a_session_nothing_is_asked(shop, run):
    """Nobody can tell whose data it would be about."""
    for method, path, body in (("POST", REQUESTS, {"kind": "access"}), ("GET", REQUESTS, None)):
        refused = run(shop.browser().ask(method, path, body))
        assert (refused.status, refused.json()["error"]["code"]) == (401, "session-missing")


def test_another_site_cannot_ask(run, visitor):
    """Neither by script nor by form."""
    refused = run(visitor.ask("POST", REQUESTS, {"kind": "deletion"}, sec_fetch_site="cross-site"))
    formed = run(post(visitor, {"kind": "deletion"}, **{"sec-fetch-site": "cross-site"}))

    assert [answer.json()["error"]["code"] for answer in (refused, formed)] == ["cross-site", "cross-site"]
    assert run(visitor.ask("GET", REQUESTS)).json()["requests"] == []


def test_the_page_works_with_plain_forms(shop, run, visitor):
    """Ask, read the code, take it back, follow it from another browser: 303 each time, no script."""
    done = run(post(visitor, {"kind": "deletion"}))
    page = run(visitor.ask("GET", PAGE)).body.decode()
    code = re.search(r"dsr-[A-Z0-9-]+\.[A-Za-z0-9_-]{43}", page).group()
    elsewhere = shop.browser()

    assert (done.status, done.header("location")) == (303, PAGE)
    assert "<script" not in page
    assert run(post(elsewhere, {"code": code})).status == 303
    assert code.partition(".")[0] in run(elsewhere.ask("GET", PAGE)).body.decode()
    assert run(post(visitor, {"cancel": code.partition(".")[0]})).header("location") == PAGE
    assert TEXTS["en"]["state_revoked"] in run(visitor.ask("GET", PAGE)).body.decode()


def test_the_page_says_what_was_refused(run, visitor):
    """A refusal leads back to the page with its code; what is in the address is never shown as it is."""
    done = run(post(visitor, {"code": "no code"}))
    page = run(visitor.ask("GET", f"{PAGE}?failed=<b>x</b>")).body.decode()

    assert done.header("location") == f"{PAGE}?failed=request-secret"
    assert "request-secret" in run(visitor.ask("GET", done.header("location"))).body.decode()
    assert "<b>x</b>" not in page


def test_the_page_is_there_while_the_control_plane_is_not(shop, run, visitor):
    """It says so, and offers what can be tried again."""
    shop.cable.cut = True

    assert TEXTS["en"]["unreachable"] in run(visitor.ask("GET", PAGE)).body.decode()


def test_the_page_speaks_japanese(run, visitor):
    """By the browser's own languages; both have every word."""
    page = run(visitor.ask("GET", PAGE, accept_language="ja,en;q=0.5")).body.decode()

    assert '<html lang="ja">' in page
    assert TEXTS["ja"]["deletion"] in page
    assert TEXTS["en"].keys() == TEXTS["ja"].keys()
    assert set(KINDS) <= TEXTS["en"].keys()


def test_an_access_answer_is_sealed_by_who_holds_a_part(shop, run, visitor):
    """The POP's history and records, opened with the secret alone; a second POP that carries it reads ciphertext."""
    made = run(visitor.ask("POST", REQUESTS, {"kind": "access"})).json()
    _, plane = shop.pop, shop.plane
    plane.own.look()
    listed(plane)
    plane.requests.machine.look()
    provider = open_provider("keyring", shop.directory, None)
    gatherer = Gatherer("tokyo-1", ControlPlane(shop.pop._parts.client, 5), shop.pop.store, shop.directory, provider)
    run(gatherer.look())
    plane.requests.machine.look()
    path = f"{REQUESTS}/{made['id']}"
    carried = run(visitor.ask("GET", f"{path}/answers")).json()
    page = run(visitor.ask("GET", path)).json()

    assert page["state"] == "fulfilled"
    assert carried.keys() == {"part control-plane/main", "part edge/tokyo-1"}
    assert made["id"] in page["id"]
    import base64

    part = json.loads(
        unseal(made["request_secret"], base64.b64decode(carried["part edge/tokyo-1"]), "part edge/tokyo-1")
    )
    whole = unseal(
        made["request_secret"], base64.b64decode(carried["part control-plane/main"]), "part control-plane/main"
    )
    assert part["place"] == "edge/tokyo-1"
    assert part.keys() == {"place", "history", "noes_on_their_way", "records"}
    subject = json.loads(whole)["data"]["subject"]
    assert subject == subject_of(json.loads(whole)["data"]["pseudonym"])
    assert subject not in json.dumps(carried)
    assert len(public_of(made["request_secret"])) == 32


@pytest.mark.parametrize("language", TEXTS)
def test_the_answer_is_a_page_that_a_person_reads(shop, run, language):
    """Every version, every place, and each point of Art. 15(1); by the code alone, and before there is one, not."""
    visitor = shop.browser()
    run(visitor.grant("contextual", "behavioral"))
    run(post(visitor, {"kind": "access"}))
    code = visitor.jar[next(name for name in visitor.jar if "request" in name)][0]
    path = f"{PAGE}/{code.partition('.')[0]}"
    assert run(look(visitor, path)).status == 404
    plane = shop.plane
    plane.own.look()
    listed(plane)
    plane.requests.machine.look()
    provider = open_provider("keyring", shop.directory, None)
    run(Gatherer("tokyo-1", ControlPlane(shop.pop._parts.client, 5), shop.pop.store, None, provider).look())
    plane.requests.machine.look()
    page = run(look(visitor, path, accept_language=language)).body.decode()

    assert f'<html lang="{language}">' in page
    assert "<script" not in page
    assert all(TEXTS[language][name] in page for name in (*TOLD, "choices", "held"))
    assert "contextual, behavioral" in page
    assert "edge/tokyo-1" in page
    assert path in run(look(visitor, PAGE)).body.decode()
    assert run(look(shop.browser(), path)).status == 404


def test_a_part_that_is_no_json_is_named_on_the_page():
    """The others are shown; nothing of any part is markup."""
    line = {"kind": "view", "item": "<script>", "tags": [], "at": 1_800_000_000}
    part = json.dumps({"place": "edge/x", "history": {"behavioral": [line]}, "records": [1, 2]}).encode()
    page = answer_page("dsar-1", {"part edge/x": part, "part edge/y": b"\xff"}, TEXTS["en"])

    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert f"2 {TEXTS['en']['records']}" in page
    assert page.count(TEXTS["en"]["unreadable"]) == 1


def look(browser, path, **headers):
    """A page, with the cookies that this address gets."""
    cookies = "; ".join(f"{name}={value}" for name, (value, where) in browser.jar.items() if path.startswith(where))
    sent = {**BROWSER, **({"cookie": cookies} if cookies else {})}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(browser.pop.public_app, "GET", path, sent)


def listed(plane):
    """The POP is on the public list, as if it attested."""
    from control_plane.attesters import listing

    with plane.database.write() as connection:
        listing.join(connection, "edge/tokyo-1", plane.settings.clock.now())
