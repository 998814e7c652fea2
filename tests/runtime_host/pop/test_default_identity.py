"""The default response is the same for everybody (DESIGN section 4)."""

import pytest

from tests.runtime_host.pop.edge import TOKEN_COOKIE, ask, make_edge, visitor

HERO = "/v1/images/home-hero?w=120&section=camping"
SLOT = "/v1/slots/home-hero?section=camping"


def a_hundred_ways(edge):
    """Requests of a hundred different people, none of whom has a valid grant of this slot's category."""
    for number in range(100):
        sub = visitor(number)
        credentials = [
            {},
            {"cookie": f"theme=dark; id={number}"},
            {"cookie": f"{TOKEN_COOKIE}=rubbish{number}"},
            {"cookie": f"{TOKEN_COOKIE}={edge.token('behavioral', sub=sub)}"},
            {"cookie": f"{TOKEN_COOKIE}={edge.token('contextual', sub=sub, iat=1_700_000_000, exp=1_700_000_100)}"},
            {"authorization": f"Bearer {edge.token('contextual', sub=sub, aud='else')}"},
            {"cookie": f"{TOKEN_COOKIE}=a{number}; {TOKEN_COOKIE}=b{number}"},
        ][number % 7]
        yield {
            "user-agent": f"Browser/{number}",
            "accept-language": ["en", "ja", "de"][number % 3],
            "sec-gpc": str(number % 2),
            "referer": f"https://shop.example/{number}",
            "x-forwarded-for": f"10.0.0.{number}",
            **credentials,
        }


@pytest.mark.parametrize("path", [HERO, SLOT])
def test_a_hundred_visitors_get_identical_bytes(edge, run, path):
    """Status, body and every header but the three free ones are the same, and one rendition is in the cache."""

    async def everybody():
        return [await ask(edge.pop.public_app, "GET", path, headers) for headers in a_hundred_ways(edge)]

    replies = run(everybody())

    assert {reply.fixed for reply in replies} == {replies[0].fixed}
    assert len({reply.code for reply in replies}) > 4
    assert len(edge.pop.renderer.cache) == (1 if path is HERO else 0)


def test_a_default_never_sets_cookies_or_asks_for_a_refresh(edge, run):
    """A token under an older policy that leads to a default is answered like everybody."""
    token = edge.token("behavioral")
    edge.plane.publish(2)
    run(edge.sync())
    reply = run(edge.get("/v1/slots/promo-tile", token))

    assert reply.code == "policy-stale"
    assert reply.header("consent-refresh") is None
    assert reply.header("set-cookie") is None


def test_every_reason_leads_to_the_same_default(edge, run, tmp_path, catalogue):
    """Not in sync, revoked, no policy and no token look alike."""
    never_synced = make_edge(tmp_path / "other", catalogue)
    token = edge.token("contextual")
    nothing = run(edge.get(HERO))
    early = run(never_synced.get(HERO, never_synced.token("contextual")))
    run(never_synced.pop.stop())
    edge.clock.advance(61)
    late = run(edge.get(HERO, token))

    assert (nothing.code, early.code, late.code) == ("no-token", "not-in-sync", "not-in-sync")
    assert nothing.fixed == early.fixed == late.fixed


def test_a_conditional_request_gets_304_with_the_same_varying_headers(edge, run):
    """A 304 may not lose `Vary`, or the next visitor is served from a cache that should not."""
    full = run(edge.get(HERO))
    again = run(edge.get(HERO, None, if_none_match=f'"x", W/{full.header("etag")}'))

    assert (again.status, again.body) == (304, b"")
    assert (
        again.header("vary")
        == full.header("vary")
        == "Accept, Cookie, Authorization, Sec-GPC, Sec-CH-DPR, DPR, Save-Data"
    )
    assert again.header("etag") == full.header("etag")


def test_vary_and_inert_headers_are_on_the_fallback_format_too(edge, run):
    """A client that takes no modern format gets JPEG, and caches are told that others may not."""
    for accept in ("*/*", "image/avif,*/*", "image/webp"):
        reply = run(edge.get(HERO, None, accept=accept))

        assert reply.header("vary") == "Accept, Cookie, Authorization, Sec-GPC, Sec-CH-DPR, DPR, Save-Data"
        assert reply.header("cross-origin-resource-policy") == "same-origin"
        assert reply.header("x-content-type-options") == "nosniff"
        assert reply.header("cache-control") == "private, no-cache"


def test_head_answers_like_get_without_the_body(edge, run):
    """HEAD has the same headers."""
    head = run(ask(edge.pop.public_app, "HEAD", HERO))
    full = run(edge.get(HERO))

    assert head.body == b""
    assert head.header("content-length") == full.header("content-length")
    assert head.header("etag") == full.header("etag")
