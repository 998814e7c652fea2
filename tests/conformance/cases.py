"""The decision contract as a table: one request and what every host must make of it.

`category` is that of the slot's JSON, `code` that of Consent-Edge-Code, `refresh` whether Consent-Refresh is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent_core.formats.refusals import Refusal, write_refusals

from .world import COOKIE, GEO_HEADER, PARTLY, PURGED, REVOKED, World, visitor

HERO = "/v1/slots/home-hero?path=/gear/tents&section=camping&tags=tent,forest&language=en"
MEMBER = "/v1/slots/member-banner?section=camping"
PROMO = "/v1/slots/promo-tile?section=camping"
UNKNOWN_HASH = "sha256:" + "0" * 64

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """One line of the contract. `make`: the headers of the request; `why`: the sentence it stands for."""

    name: str
    why: str
    make: Callable[[World], Headers]
    category: str = "default"
    code: str | None = None
    refresh: bool = False
    status: int = 200
    target: str = HERO
    method: str = "GET"
    condition: str = "fresh"


def cookie(*scopes: str, **claims: object) -> Callable[[World], Headers]:
    """A request that carries a token of these scopes in the cookie."""
    return lambda world: [("cookie", f"{COOKIE}={world.token(*scopes, **claims)}")]


def literal(text: str) -> Callable[[World], Headers]:
    return lambda _: [("cookie", f"{COOKIE}={text}")]


def nothing(_: World) -> Headers:
    return []


def bearer(world: World) -> Headers:
    return [("authorization", f"Bearer {world.token('contextual')}")]


def both_same(world: World) -> Headers:
    text = world.token("contextual")
    return [("authorization", f"Bearer {text}"), ("cookie", f"{COOKIE}={text}")]


def both_different(world: World) -> Headers:
    return [*bearer(world), *cookie("contextual", jti="t-2")(world)]


def two_cookies(world: World) -> Headers:
    one, other = world.token("contextual"), world.token("contextual", jti="t-2")
    return [("cookie", f"{COOKIE}={one}; {COOKIE}={other}")]


def two_cookie_headers(world: World) -> Headers:
    return [*cookie("contextual")(world), *cookie("contextual", jti="t-2")(world)]


def same_cookie_twice(world: World) -> Headers:
    text = world.token("contextual")
    return [("cookie", f"{COOKIE}={text}; {COOKIE}={text}")]


def from_place(place: str, *scopes: str, gpc: bool = False) -> Callable[[World], Headers]:
    signal = [("sec-gpc", "1")] if gpc else []
    return lambda world: [*cookie(*scopes)(world), (GEO_HEADER, place), *signal]


def older_policy(*scopes: str) -> Callable[[World], Headers]:
    return lambda world: cookie(*scopes, hash=world.first_policy)(world)


def expired(world: World) -> Headers:
    now = world.clock.now()
    return cookie("contextual", iat=now - 100, exp=now - 1)(world)


def early(world: World) -> Headers:
    now = world.clock.now()
    return cookie("contextual", iat=now + 60, exp=now + 120)(world)


def long_lived(world: World) -> Headers:
    now = world.clock.now()
    return cookie("contextual", iat=now, exp=now + 301)(world)


def milliseconds(world: World) -> Headers:
    now = world.clock.now() * 1000
    return cookie("contextual", iat=now, exp=now + 300)(world)


def strange_signature(world: World) -> Headers:
    return cookie("contextual", signer=world.strangers.current("token"))(world)


def unknown_key(world: World) -> Headers:
    return cookie("contextual", header={"kid": "nobody"})(world)


def other_type(world: World) -> Headers:
    return cookie("contextual", header={"typ": "JWT"})(world)


def more_header(world: World) -> Headers:
    return cookie("contextual", header={"crit": ["exp"]})(world)


def with_refusal(value: str, *scopes: str, name: str = "__Host-consent-no") -> Callable[[World], Headers]:
    """A request that carries a token and this cookie `consent-no`."""
    return lambda world: [("cookie", f"{COOKIE}={world.token(*scopes)}; {name}={value}")]


def refusing(refused: str, *scopes: str) -> Callable[[World], Headers]:
    return with_refusal(refusal(refused), *scopes, name="consent-no")


def refusal(*refused: str) -> str:
    return write_refusals("A" * 22, [Refusal(7, refused, "B" * 21 + "A", 1_800_000_000)])


def refusing_bearer(world: World) -> Headers:
    return [*bearer(world), ("cookie", f"__Host-consent-no={refusal('contextual')}")]


def only_refusal(_: World) -> Headers:
    return [("cookie", f"__Host-consent-no={refusal('contextual')}")]


CASES = (
    Case("granted", "a consented visitor gets a decision", cookie("contextual"), "contextual"),
    Case("granted-bearer", "API clients carry the token in Authorization", bearer, "contextual"),
    Case("granted-both-same", "cookie and bearer may agree", both_same, "contextual"),
    Case("granted-behavioral", "behavioral decides its own slot",
         cookie("contextual", "behavioral"), "behavioral", target=MEMBER),
    Case("granted-experimental", "an arm is the same everywhere",
         cookie("experimental", sub=visitor(3)), "experimental", target=PROMO),
    Case("granted-head", "HEAD answers as GET, without the body", cookie("contextual"), "contextual", method="HEAD"),
    Case("another-visitor", "another visitor's entropy is theirs",
         cookie("contextual", sub=visitor(42)), "contextual"),
    Case("denied", "a token without the category is not enough", cookie("experimental"), code="not-effective"),
    Case("denied-all", "an empty token personalises nothing", cookie(), code="not-effective"),
    Case("denied-history", "contextual is no consent to history",
         cookie("contextual"), code="not-effective", target=MEMBER),
    Case("no-token", "no token is default", nothing, code="no-token"),
    Case("empty-cookie", "an empty cookie is no token", literal(""), code="no-token"),
    Case("malformed", "what is no token is default", literal("garbage"), code="token-malformed"),
    Case("not-base64", "base64 has one spelling", literal("a!.b.c"), code="token-base64"),
    Case("too-long", "nobody decodes 5 kB", literal("a" * 5000), code="token-too-long"),
    Case("expired", "a token ends at its second", expired, code="token-expired"),
    Case("not-yet-valid", "a token of the future waits", early, code="token-not-yet-valid"),
    Case("long-lived", "300 seconds at most", long_lived, code="token-lifetime"),
    Case("milliseconds", "times are seconds", milliseconds, code="token-milliseconds"),
    Case("wrong-audience", "a token for others is not for us",
         cookie("contextual", aud="api"), code="token-audience"),
    Case("wrong-issuer", "a token by others is not ours", cookie("contextual", iss="elsewhere"), code="token-issuer"),
    Case("wrong-signature", "our key's name is not our key", strange_signature, code="token-signature"),
    Case("unknown-key", "a key nobody published signs nothing", unknown_key, code="token-kid"),
    Case("wrong-type", "a JWT of another kind is refused", other_type, code="token-typ"),
    Case("unknown-header", "the header is closed", more_header, code="token-header"),
    Case("missing-claim", "every claim is needed", cookie("contextual", jti=None), code="token-claim-missing"),
    Case("unknown-claim", "no other claim is known", cookie("contextual", admin=True), code="token-claim-unknown"),
    Case("unknown-scope", "categories are three", cookie("everything"), code="token-claim-type"),
    Case("revoked", "a revoked visitor's older tokens are default",
         cookie("contextual", sub=REVOKED), code="revoked"),
    Case("revoked-then-granted", "a newer grant counts again",
         cookie("contextual", sub=REVOKED, ver=2), "contextual"),
    Case("revoked-other", "one category taken leaves the others",
         cookie("contextual", "behavioral", sub=PARTLY), "contextual", "revoked"),
    Case("revoked-this", "and is gone itself", cookie("behavioral", sub=PARTLY), code="revoked", target=MEMBER),
    Case("purged", "an erased visitor has no token", cookie("contextual", sub=PURGED, ver=9), code="revoked"),
    Case("policy-stale", "an older policy still decides by page, and asks for a new token",
         older_policy("contextual"), "contextual", "policy-stale", refresh=True),
    Case("policy-stale-history", "an older policy decides nothing by history",
         older_policy("contextual", "behavioral"),
         code="policy-stale", target=MEMBER),
    Case("policy-unknown", "an unknown policy decides nothing",
         cookie("contextual", hash=UNKNOWN_HASH), code="policy-unknown"),
    Case("gpc-california", "the signal stops history in California",
         from_place("US-CA", "contextual", "behavioral", gpc=True), code="not-effective", target=MEMBER),
    Case("no-gpc-california", "without it history counts",
         from_place("US-CA", "contextual", "behavioral"), "behavioral", target=MEMBER),
    Case("gpc-california-page", "the page is not what the signal is about",
         from_place("US-CA", "contextual", gpc=True), "contextual"),
    Case("nowhere", "an unreadable place is the strictest", from_place("moon base", "contextual", "behavioral"),
         "contextual", target=HERO),
    Case("not-in-sync-stale", "a minute of silence is default",
         cookie("contextual"), code="not-in-sync", condition="stale"),
    Case("not-in-sync-forged", "somebody else's word is no word",
         cookie("contextual"), code="not-in-sync", condition="forged"),
    Case("not-in-sync-garbled", "nor is a changed one",
         cookie("contextual"), code="not-in-sync", condition="garbled"),
    Case("not-in-sync-silent", "nor none", cookie("contextual"), code="not-in-sync", condition="silent"),
    Case("not-in-sync-malformed", "out of sync even rubbish says so",
         literal("garbage"), code="not-in-sync", condition="silent"),
    Case("not-in-sync-no-token", "without a token nobody asks the control plane",
         nothing, code="no-token", condition="silent"),
    Case("two-cookies", "one cookie with two values is doubtful", two_cookies, code="cookie-conflict"),
    Case("two-cookie-headers", "in two headers as well", two_cookie_headers, code="cookie-conflict"),
    Case("same-cookie-twice", "twice the same is once", same_cookie_twice, "contextual"),
    Case("cookie-and-bearer", "two tokens on purpose are refused",
         both_different, status=400, code="credential-conflict"),
    Case("unknown-slot", "a slot is in the catalogue",
         cookie("contextual"), status=404, code="unknown-slot", target="/v1/slots/nowhere"),
    Case("context-unreadable", "a word that is none is left out", cookie("contextual"), "contextual",
         target="/v1/slots/home-hero?section=%3Cscript%3E&path=nowhere&tags=%00,%20&language=!"),
    Case("context-of-a-page", "what a page's address says is brought to its form", cookie("contextual"), "contextual",
         target="/v1/slots/home-hero?path=/a%20b&section=Camping&language=zh_CN&tags=Tent,FOREST"),
    Case("context-long", "three hundred characters of three bytes each are no refusal", cookie("contextual"),
         "contextual", target="/v1/slots/home-hero?path=/" + "%E3%81%82" * 300),
    Case("field-twice", "of a field that comes twice the first counts", cookie("contextual"), "contextual",
         target="/v1/slots/home-hero?section=camping&section=%ff"),
    Case("refused", "what this browser refused is default, whatever its token says",
         refusing("contextual", "contextual"), code="refused"),
    Case("refused-other", "a refusal takes its own category alone",
         refusing("behavioral", "contextual", "behavioral"), "contextual", "refused"),
    Case("refused-more", "what is not in the token can be refused too",
         refusing("experimental", "contextual"), "contextual"),
    Case("refused-bearer", "the cookie narrows whoever's token comes with it", refusing_bearer, code="refused"),
    Case("refused-broken", "a refusal that cannot be read refuses everything",
         with_refusal("1.somebody-broke-this", "contextual", "behavioral", "experimental"), code="refused"),
    Case("refused-not-ours", "another program's cookie says nothing", with_refusal("2", "contextual"), "contextual"),
    Case("refused-no-token", "without a token there is nothing to refuse", only_refusal, code="no-token"),
    Case("no-context", "a page that says nothing still gets its slot", cookie("contextual"), "contextual",
         target="/v1/slots/home-hero"),
)  # fmt: skip
