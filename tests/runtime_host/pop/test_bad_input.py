"""Bad input gets a clear refusal or the default, and the POP goes on (issue: bad input)."""

import json

import pytest

from runtime_host.pop.serving.delivery import _pixels
from tests.runtime_host.pop.edge import BROWSER, TOKEN_COOKIE, ask

HERO = "/v1/images/home-hero?w=120&section=camping"


def b64(data: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def resigned(edge, header=None, payload=None) -> str:
    """Any header and payload bytes under a good signature of the token key."""
    key = edge.plane.keys.current("token")
    head, body, _ = edge.token("contextual").split(".")
    message = f"{b64(header) if header else head}.{b64(payload) if payload else body}"
    return f"{message}.{b64(key.sign(message.encode()))}"


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("token-too-long", lambda edge: "a" * 1_000_000),
        ("token-malformed", lambda edge: "abc"),
        ("token-base64", lambda edge: "a=.b.c"),
        ("token-base64", lambda edge: edge.token("contextual").replace("e", "é", 1)),
        ("token-too-deep", lambda edge: resigned(edge, payload=b"[" * 1_000)),
        ("token-too-long", lambda edge: resigned(edge, payload=b"[" * 10_000)),
        ("token-json", lambda edge: resigned(edge, payload=b"{")),
        ("token-duplicate-key", lambda edge: resigned(edge, payload=b'{"iss":"a","iss":"b"}')),
        ("token-claim-missing", lambda edge: resigned(edge, payload=b"{}")),
        ("token-claim-unknown", lambda edge: edge.token("contextual", admin=True)),
        ("token-audience", lambda edge: edge.token("contextual", aud="control-plane")),
        ("token-issuer", lambda edge: edge.token("contextual", iss="somebody")),
        ("token-lifetime", lambda edge: edge.token("contextual", exp=edge.clock.now() + 301)),
        ("token-expired", lambda edge: edge.token("contextual", iat=edge.clock.now() - 10, exp=edge.clock.now())),
        ("token-not-yet-valid", lambda edge: edge.token("contextual", iat=edge.clock.now() + 60)),
        ("token-milliseconds", lambda edge: edge.token("contextual", exp=edge.clock.now() * 1_000)),
        ("token-signature", lambda edge: edge.token("contextual")[:-8] + "AAAAAAAA"),
        ("token-alg-none", lambda edge: resigned(edge, header=b'{"alg":"none","typ":"consent+jwt","kid":"a"}')),
        ("token-kid", lambda edge: resigned(edge, header=b'{"alg":"EdDSA","typ":"consent+jwt","kid":"a"}')),
    ],
)
def test_a_bad_token_gets_the_default_and_its_own_code(edge, run, code, make):
    """Every refusal of the token format, by cookie and by bearer; the next visitor is not affected."""
    token, default = make(edge), run(edge.get(HERO))
    by_cookie = run(edge.get(HERO, token))
    by_bearer = run(edge.get(HERO, None, authorization=f"Bearer {token}"))

    assert (by_cookie.code, by_bearer.code) == (code, code)
    assert by_cookie.fixed == by_bearer.fixed == default.fixed
    assert run(edge.get(HERO, edge.token("contextual"))).fixed != default.fixed


def test_cookie_and_bearer_that_differ_are_refused(edge, run):
    """A client that names two tokens is told so; equal ones are one."""
    one, other = edge.token("contextual"), edge.token("behavioral")
    refused = run(edge.get(HERO, one, authorization=f"Bearer {other}"))
    same = run(edge.get(HERO, one, authorization=f"bearer {one}"))

    assert (refused.status, refused.json()["error"]["code"]) == (400, "credential-conflict")
    assert (same.status, same.code) == (200, None)


@pytest.mark.parametrize("planted", ["first", "last"])
def test_a_planted_second_token_cookie_is_no_token(edge, run, planted):
    """Cookie tossing: the POP cannot tell which of two is the visitor's, so neither is believed."""
    mine, other = edge.token("contextual"), edge.token("contextual", sub="B" * 21 + "A")
    pair = (other, mine) if planted == "first" else (mine, other)
    cookie = "; ".join(f"{TOKEN_COOKIE}={token}" for token in pair)
    reply = run(edge.get(HERO, None, cookie=cookie))

    assert reply.code == "cookie-conflict"
    assert reply.fixed == run(edge.get(HERO)).fixed


def test_a_cookie_whose_name_only_ends_alike_is_another_cookie(edge, run):
    """`x__Host-consent-token` is not ours."""
    reply = run(edge.get(HERO, None, cookie=f"x{TOKEN_COOKIE}={edge.token('contextual')}"))

    assert reply.code == "no-token"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/images/no-such-slot", 404, "unknown-slot"),
        ("/v1/slots/no-such-slot", 404, "unknown-slot"),
        ("/v1/slots/", 404, "unknown-slot"),
        ("/v1/nothing", 404, "route-unknown"),
        ("/v1/", 404, "route-unknown"),
        ("/v1/images/home-hero?w=-1", 400, "bad-size"),
        ("/v1/images/home-hero?w=0", 400, "bad-size"),
        ("/v1/images/home-hero?w=99999999999999999999", 400, "bad-size"),
        ("/v1/images/home-hero?w=NaN", 400, "bad-size"),
        ("/v1/images/home-hero?w=1e3", 400, "bad-size"),
        ("/v1/images/home-hero?dpr=-2", 400, "bad-size"),
        ("/v1/images/home-hero?dpr=11", 400, "bad-size"),
        ("/v1/images/home-hero?dpr=0.0", 400, "bad-size"),
        ("/v1/images/home-hero?dpr=1e1", 400, "bad-size"),
        ("/v1/images/home-hero?dpr=inf", 400, "bad-size"),
    ],
)
def test_bad_addresses_are_refused_by_name(edge, run, path, status, code):
    """A clear 4xx with a code, as JSON, never a stack trace."""
    reply = run(edge.get(path))

    assert (reply.status, reply.json()["error"]["code"]) == (status, code)
    assert reply.header("cache-control") == "private, no-store"


CONTEXTS = (
    "path=/a%20b",
    "path=/" + "%E6%97%A5" * 300,
    "path=/über-uns",
    "section=Camping",
    "section=%ff%fe",
    "section=" + "a" * 65,
    "section=a&section=b",
    "path=evil",
    "tags=" + ",".join(f"T{n}" for n in range(17)),
    "language=zh_CN",
    "language=%00",
    "&".join(f"a{n}=1" for n in range(40)),
    "path=/" + "a" * 60_000,
    "%",
    "=&&=",
)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_page_context_never_breaks_a_picture(edge, run, context):
    """For images, slots and what comes along with a change: the default is the worst that may happen."""
    token = edge.token("contextual")
    image, slot = (run(edge.get(f"/v1/{what}/home-hero?{context}", token)) for what in ("images", "slots"))

    assert (image.status, slot.status) == (200, 200)
    assert image.header("content-type").startswith("image/")
    assert slot.json()["category"] == "contextual"


def test_an_odd_client_hint_is_ignored(edge, run):
    """`DPR` is an offer of the browser: what makes no sense counts as 1."""
    plain = run(edge.get(HERO))

    assert run(edge.get(HERO, None, dpr="banana")).fixed == plain.fixed


def test_methods_are_named_where_they_are_refused(edge, run):
    """405 says what is allowed, OPTIONS answers with nothing."""
    refused = run(ask(edge.pop.public_app, "PUT", HERO, BROWSER))
    options = run(ask(edge.pop.public_app, "OPTIONS", "/v1/consent"))

    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD, OPTIONS")
    assert (options.status, options.header("allow"), options.body) == (204, "DELETE, GET, HEAD, OPTIONS, POST", b"")


@pytest.mark.parametrize("change", ["flip", "query", "repeat", "encode", "dots"])
def test_an_altered_rendition_address_is_refused(edge, run, change):
    """One byte, a query, a repeated signature, an escape: 403 each; the signed one works for anybody, for ever."""
    url = run(edge.get("/v1/slots/home-hero?section=camping", edge.token("contextual"))).json()["rendition"]["url"]
    altered = {
        "flip": url.replace("/b", "/b1", 1),
        "query": url + "?x=1",
        "repeat": url + "/" + url.rsplit("/", 1)[1],
        "encode": url.replace("/b", "/%62", 1),
        "dots": url.replace("/k1/", "/k1/../k1/"),
    }[change]
    good, bad = run(edge.get(url)), run(edge.get(altered))

    assert (good.status, good.header("cache-control")) == (200, "public, max-age=31536000, immutable")
    assert good.header("vary") == "Accept"
    assert (bad.status, bad.json()["error"]["code"]) == (403, "rendition-signature")


def test_a_rendition_reads_no_cookie(edge, run):
    """The bytes depend on the address and the format alone."""
    url = run(edge.get("/v1/slots/home-hero")).json()["rendition"]["url"]
    replies = [run(edge.get(url, token)) for token in (None, "rubbish", edge.token("contextual"))]

    assert {reply.fixed for reply in replies} == {replies[0].fixed}
    assert all(reply.header("server-timing") is None for reply in replies)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"grant":1}', b'{"grant":["all"]}', b'{"grant":[],"grant":[]}', b"\xff", b"[" * 9_000,
     b'{"grant":["contextual","contextual"]}', b'{"grant":[],"sub":"AAAA"}'],
)  # fmt: skip
def test_a_bad_consent_body_is_refused_before_the_control_plane_is_asked(edge, run, body):
    """400, and nothing was sent anywhere."""
    asked = len(edge.plane.requests)
    reply = run(edge.send("POST", "/v1/consent", body))

    assert (reply.status, reply.json()["error"]["code"]) == (400, "bad-request")
    assert len(edge.plane.requests) == asked


def test_a_body_is_not_read_past_its_cap(edge, run):
    """413 for a megabyte."""
    reply = run(edge.send("POST", "/v1/events", json.dumps({"kind": "click", "item": "a" * 1_000_000}).encode()))

    assert (reply.status, reply.json()["error"]["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("hint", ["2.625", "3", "2.000001"])
def test_a_density_between_steps_gets_the_next_one(edge, run, hint):
    """A Pixel phone says 2.625: as a parameter, as the client hint, and as the older header."""
    wanted = run(edge.get("/v1/images/home-hero?w=320&dpr=3", None)).body

    assert run(edge.get(f"/v1/images/home-hero?w=320&dpr={hint}", None)).body == wanted
    for header in ("sec-ch-dpr", "dpr"):
        assert run(edge.get("/v1/images/home-hero?w=320", None, **{header: hint})).body == wanted


def test_a_hint_of_megabytes_is_not_remembered(edge, run):
    """Five hundred of them cost nothing: only a short hint can be a number, and only a step becomes a key."""
    before = _pixels.cache_info().currsize  # other tests of this process asked for sizes, too
    for number in range(500):
        assert run(edge.get(HERO, None, dpr=f"{number}" + "9" * 100_000)).status == 200

    assert _pixels.cache_info().currsize - before < 50


def test_a_browser_that_saves_data_gets_fewer_bytes(edge, run):
    """`Save-Data: on` is quality `low`; any other value changes nothing."""
    full, saved, odd = (run(edge.get(HERO, None, **hint)) for hint in ({}, {"save-data": "on"}, {"save-data": "1"}))

    assert full.body == odd.body != saved.body
    assert (full.status, saved.status) == (200, 200)
