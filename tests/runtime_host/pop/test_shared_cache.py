"""`--shared-cache`: a default is everybody's, and may be kept; an answer that may be a visitor's is private."""

import pytest

from tests.runtime_host.pop.edge import TOKEN_COOKIE, ask, make_edge, visitor

HERO = "/v1/images/home-hero?w=120&section=camping"
PUBLIC = "public, max-age=0, s-maxage=300"


@pytest.fixture
def shared(tmp_path, catalogue, run):
    made = make_edge(tmp_path, catalogue, shared_cache_s=300, geo_header="x-country")
    run(made.sync())
    yield made
    run(made.pop.stop())


def asked(edge, run, path=HERO, **headers):
    return run(ask(edge.pop.public_app, "GET", path, {name.replace("_", "-"): v for name, v in headers.items()}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": "theme=dark"},
        {"cookie": "consent-no=1.AAAAAAAAAAAAAAAAAAAAAA.1:c:AAAAAAAAAAAAAAAAAAAAAA:1"},
        {"cookie": "__Secure-consent-session=2.AAAA"},
        {"sec_gpc": "1"},
        {"x_country": "US-CA"},
        {"x_country": "DE", "sec_gpc": "1"},
        {"user_agent": "Browser/7", "referer": "https://shop.example/7", "x_forwarded_for": "10.0.0.7"},
    ],
)
def test_a_request_without_a_token_gets_everybodys_answer(shared, run, headers):
    """Neither signal, nor law, nor another cookie changes a byte or a header of it."""
    reply, plain = asked(shared, run, **headers), asked(shared, run)

    assert reply == plain
    assert plain.header("cache-control") == PUBLIC
    assert plain.header("vary") == "Accept, Authorization, Sec-CH-DPR, DPR, Save-Data"
    assert (plain.header("server-timing"), plain.code, plain.header("set-cookie")) == (None, None, None)


def test_a_pop_out_of_sync_says_the_same(shared, run):
    """A shared answer does not tell how the POP stands."""
    fresh = asked(shared, run)
    shared.clock.boot += 61

    assert asked(shared, run) == fresh


def test_the_pages_context_changes_nothing_without_a_token(shared, run):
    """So no CDN needs it in its key."""
    assert asked(shared, run, "/v1/images/home-hero?w=120&path=/x&section=water&tags=kayak&language=ja") == asked(
        shared, run
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"{TOKEN_COOKIE}=rubbish"},
        {"cookie": f"{TOKEN_COOKIE}="},
        {"cookie": "consent-token=rubbish"},
        {"cookie": f"{TOKEN_COOKIE}=a; {TOKEN_COOKIE}=b"},
        {"cookie": f"theme=dark; x={TOKEN_COOKIE}"},
        {"authorization": "Bearer rubbish"},
        {"authorization": "Basic eDp5"},
        {"authorization": ""},
    ],
)
def test_any_token_valid_or_not_is_private(shared, run, headers):
    """Also where it ends with the default: a browser that sends one may get another answer next time."""
    reply = asked(shared, run, **headers)

    assert reply.header("cache-control") == "private, no-cache"
    assert "Cookie" in reply.header("vary")
    assert reply.body == asked(shared, run).body


def test_a_person_is_never_public_before_or_after_their_no(shared, run):
    """The picture that was decided, and the default of a token that counts no more."""
    now = shared.clock.now()
    mine = run(shared.get(HERO, shared.token("contextual", sub=visitor(1)), x_country="DE"))
    old = shared.token("contextual", sub=visitor(1), iat=now - 400, exp=now - 100)
    expired = run(shared.get(HERO, old, x_country="DE"))

    assert (mine.header("cache-control"), expired.header("cache-control")) == ("private, no-cache",) * 2
    assert mine.body != expired.body == asked(shared, run).body


def test_a_shared_picture_that_is_known_is_304_with_the_same_headers(shared, run):
    """A CDN revalidates, and goes on keeping."""
    tag = asked(shared, run).header("etag")
    reply = asked(shared, run, if_none_match=tag)

    assert (reply.status, reply.body, reply.header("cache-control")) == (304, b"", PUBLIC)


def test_slots_and_errors_are_never_shared(shared, run):
    """Only pictures are."""
    paths = ("/v1/slots/home-hero", "/v1/images/nothing", "/v1/images/home-hero?w=0", "/v1/consent", "/v1/policy")

    assert {asked(shared, run, path).header("cache-control") for path in paths} == {"private, no-store"}


def test_without_the_option_nothing_is_shared(edge, run):
    """Off by default."""
    assert asked(edge, run).header("cache-control") == "private, no-cache"
