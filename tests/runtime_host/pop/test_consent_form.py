"""The same changes from a plain form, and the words that a person is shown before them."""

from urllib.parse import urlencode

import pytest

from consent_core.formats.canonical import sha256_digest
from consent_core.formats.receipt import peek_receipt
from consent_core.formats.refusals import read_refusals
from tests.runtime_host.pop.edge import BROWSER, TOKEN_COOKIE, ask

FORM = {"content-type": "application/x-www-form-urlencoded", "referer": "http://127.0.0.1:8081/offers?x=1"}
REFUSALS = "__Host-consent-no"


async def post(browser, fields, **headers):
    cookies = "; ".join(f"{name}={value}" for name, (value, _) in browser.jar.items())
    sent = {**BROWSER, **FORM, **({"cookie": cookies} if cookies else {}), **headers}
    reply = await ask(browser.pop.public_app, "POST", "/v1/consent/form", sent, urlencode(fields, doseq=True).encode())
    for key, text in reply.headers:
        if key == b"set-cookie":
            browser._keep(text.decode())
    return reply


def test_a_yes_by_form_leads_back_over_the_place_where_its_session_is_presented(shop, run):
    """303 twice; afterwards the page shows what was granted, and the record will not be swept."""
    visitor = shop.browser()
    done = run(post(visitor, {"grant": ["contextual", "behavioral"]}))
    shop.cable.requests.clear()
    back = run(visitor.ask("GET", done.header("location")))

    assert (done.status, done.header("location")) == (303, "/v1/consent/form?to=/offers")
    assert (back.status, back.header("location")) == (303, "/offers")
    assert shop.cable.requests == [("POST", "/v1/consents/-/refresh")]
    assert run(visitor.shown()) == "contextual"


@pytest.mark.parametrize(("withdraw", "left"), [("all", []), ("contextual", ["behavioral"])])
def test_a_no_by_form_is_kept_in_the_browser_too(shop, run, withdraw, left):
    """It has no number of its own: the cookie's is above what this browser can know."""
    visitor = shop.browser()
    run(post(visitor, {"grant": ["contextual", "behavioral"]}))
    done = run(post(visitor, {"withdraw": withdraw}))
    (entry,) = read_refusals([visitor.jar[REFUSALS][0].encode()]).entries

    assert (done.status, done.header("location")) == (303, "/offers")
    assert "contextual" in entry.categories
    assert entry.number == 2
    assert run(visitor.shown()) == "default"
    assert run(visitor.ask("GET", "/v1/consent")).json()["choices"] == left


def test_a_no_by_form_while_cut_off_is_a_no(shop, run):
    """The answer does not wait for the control plane, and the token goes."""
    visitor = shop.browser()
    run(post(visitor, {"grant": "contextual"}))
    shop.cable.cut = True
    done = run(post(visitor, {"withdraw": "all"}))

    assert (done.status, TOKEN_COOKIE in visitor.jar) == (303, False)
    assert len(shop.pop.store.outbox.pending()) == 1


@pytest.mark.parametrize("beside", [{"grant": "everything"}, {"withdraw": ["all", "tomorrow"]}, {"é": ["ü"] * 200}])
def test_what_else_a_form_says_does_not_keep_a_no_out(shop, run, beside):
    """The "no" is in force and the cookies are as after any, also if the rest fails."""
    visitor = shop.browser()
    run(post(visitor, {"grant": "contextual"}))
    run(post(visitor, {"withdraw": "all", **beside}))

    assert TOKEN_COOKIE not in visitor.jar
    assert REFUSALS in visitor.jar
    assert run(visitor.ask("GET", "/v1/consent")).json()["choices"] == []


def test_a_yes_by_form_that_cannot_be_recorded_leaves_the_no_beside_it_done(shop, run):
    """The control plane is away: 503 for the yes; the "no" has taken the token and stands in the browser."""
    visitor = shop.browser()
    run(post(visitor, {"grant": "contextual"}))
    shop.cable.cut = True
    done = run(post(visitor, {"withdraw": "contextual", "grant": "behavioral"}))

    assert done.status == 503
    assert TOKEN_COOKIE not in visitor.jar
    assert read_refusals([visitor.jar[REFUSALS][0].encode()]).categories == {"contextual"}


@pytest.mark.parametrize(
    "fields", [{}, {"grant": "everything"}, {"withdraw": "tomorrow"}, {"else": "contextual"}]
)  # fmt: skip
def test_a_form_that_says_nothing_is_refused(shop, run, fields):
    refused = run(post(shop.browser(), fields))

    assert (refused.status, refused.json()["error"]["code"]) == (400, "bad-request")


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"content-type": "application/json"},
     {"content-type": "text/plain"}],
)  # fmt: skip
def test_a_form_of_another_site_changes_nothing(shop, run, headers):
    refused = run(post(shop.browser(), {"withdraw": "all"}, **headers))

    assert (refused.status, refused.json()["error"]["code"]) == (403, "cross-site")


@pytest.mark.parametrize(
    "referer",
    ["", "http://elsewhere.example/offers", "http://127.0.0.1:8081//elsewhere.example", "javascript:alert(1)",
     "http://127.0.0.1:8081/\\elsewhere.example"],
)  # fmt: skip
def test_a_form_never_leads_to_another_site(shop, run, referer):
    """Not by its page's address, and not by the query of the way back."""
    done = run(post(shop.browser(), {"withdraw": "all"}, referer=referer))

    assert done.header("location") == "/"
    for to in ("//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "%2f%2felsewhere.example"):
        back = run(shop.browser().ask("GET", f"/v1/consent/form?to={to}"))
        assert back.header("location") == "/"


@pytest.mark.parametrize(
    ("accept_language", "language", "clause_id"),
    [
        ("", "en", "notice-eu"), ("en;q=0", "en", "notice-eu"), ("*", "en", "notice-eu"), ("q=;,,", "en", "notice-eu"),
        ("fr;q=nonsense", "en", "notice-eu"), ("ja", "en", "notice-eu"), ("de-AT,en;q=0.9", "de", "notice-eu.de"),
        ("en;q=0.5, fr-CH;q=0.8", "fr", "notice-eu.fr"),
    ],
)  # fmt: skip
def test_the_notice_is_the_laws_own_with_its_digest(shop, run, accept_language, language, clause_id):
    """In the best language asked for that the law's notice has, else in English; its digest is the clause's."""
    notice = run(shop.browser().ask("GET", "/v1/consent/notice", accept_language=accept_language)).json()
    clause = shop.pop.sync.trust_state.policy.clauses[clause_id]

    assert (notice["jurisdiction"], notice["language"], notice["clause_id"]) == ("EU", language, clause_id)
    assert notice["digest"] == clause.sha256 == sha256_digest(clause.markdown.encode())
    assert notice["text"] == clause.text


@pytest.mark.parametrize(("language", "clause_id"), [("en", "notice-eu"), ("de", "notice-eu.de")])
def test_a_receipt_names_the_notice_that_was_shown(shop, run, language, clause_id):
    """Named by the digest that the page got with the text, translations too."""
    visitor = shop.browser()
    notice = run(visitor.ask("GET", "/v1/consent/notice", accept_language=language)).json()
    shown = run(visitor.grant("contextual", notice=notice["digest"])).json()["receipt"]
    other = run(shop.browser().grant("contextual", notice="sha256:" + "0" * 64)).json()["receipt"]

    words = {"clause_id": clause_id, "clause_sha256": notice["digest"]}
    assert (peek_receipt(shown)["privacy_notice"], peek_receipt(shown)["language"]) == (words, language)
    assert peek_receipt(other)["privacy_notice"] == {}
