"""The two functions as the POP calls them: expected failures are `Rejected`, a broken contract is `Unavailable`."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from consent_core.decision.contract import (
    DECISION_ERRORS,
    Adjustment,
    Candidate,
    Claims,
    Decision,
    Err,
    Expectation,
    Ok,
    Signals,
    VerificationKey,
)
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.token import REJECTIONS
from runtime_host.wasm.exports import DECIDE, EXPORTS, VALIDATE, Export
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.sandbox import SandboxPool
from tests.runtime_host.wasm import guests
from tests.runtime_host.wasm.guests import compiled

EXPECTED = Expectation("ui-tools/consent-edge", "edge", 1_800_000_000, 5)
KEYS = (VerificationKey("k", "ed25519", bytes(32)),)
GOOD = Claims(
    iss=EXPECTED.issuer,
    aud="edge",
    sub="AAAAAAAAAAAAAAAAAAAAAA",
    iat=EXPECTED.now - 10,
    exp=EXPECTED.now + 200,
    jti="j",
    ver=1,
    scopes=("contextual",),
    region="tokyo-1",
    hash="sha256:" + "0" * 64,
)
OFFERED = (Candidate("summit", ("alpine",), ("Higher.", "Up.")), Candidate("lake", (), ("Calm.",)))
CHOICE = Decision("summit", "Up.", Adjustment(-100, 100, 0), 16, False)


class Canned:
    """A function that gives one answer to everything."""

    name = "canned"
    digest = "sha256:" + "0" * 64

    def __init__(self, export: Export, answer: Any) -> None:
        self.export = export
        self.answer = answer
        self.calls = 0

    def call(self, *arguments: Any) -> Any:
        assert arguments
        self.calls += 1
        return self.answer

    async def acall(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def prepare(self) -> None: ...

    def close(self) -> None: ...


class Gated(Canned):
    """A function whose answers wait until they are let through."""

    def __init__(self, answer: Any) -> None:
        super().__init__(VALIDATE, answer)
        self.open = asyncio.Event()

    async def acall(self, *arguments: Any) -> Any:
        self.calls += 1
        await self.open.wait()
        return self.answer


def test_requests_that_ask_the_very_same_at_once_share_one_call() -> None:
    """The pictures of a page come with one token; each gets the claims, the function ran once. Later it runs again."""

    async def ask() -> tuple[list[Claims], int, int]:
        gated = Gated(Ok(GOOD))
        validator = ConsentValidator(gated)
        asked = [asyncio.ensure_future(validator.avalidate("a.b.c", KEYS, EXPECTED)) for _ in range(20)]
        await asyncio.sleep(0)
        gated.open.set()
        claims = list(await asyncio.gather(*asked))
        together = gated.calls
        await validator.avalidate("a.b.c", KEYS, EXPECTED)
        return claims, together, gated.calls

    assert asyncio.run(ask()) == ([GOOD] * 20, 1, 2)


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("a.b.d", KEYS, EXPECTED),
        ("a.b.c", (), EXPECTED),
        ("a.b.c", (KEYS[0]._replace(key=bytes(31) + b"1"),), EXPECTED),
        ("a.b.c", KEYS, EXPECTED._replace(now=EXPECTED.now + 1)),
    ],
    ids=["another token", "no key", "another key", "another second"],
)
def test_requests_that_differ_in_anything_share_nothing(text: str, keys: Any, expected: Expectation) -> None:
    """Neither an answer for another token nor one for keys that are trusted no more."""

    async def ask() -> int:
        gated = Gated(Ok(GOOD))
        validator = ConsentValidator(gated)
        asked = [validator.avalidate("a.b.c", KEYS, EXPECTED), validator.avalidate(text, keys, expected)]
        gated.open.set()
        await asyncio.gather(*asked)
        return gated.calls

    assert asyncio.run(ask()) == 2


def test_one_that_leaves_does_not_take_the_others_along() -> None:
    """A browser that closes its connection cancels its own request only; a refusal reaches all that are left."""

    async def ask() -> tuple[list[object], int]:
        gated = Gated(Err("token-expired"))
        validator = ConsentValidator(gated)
        asked = [asyncio.ensure_future(validator.avalidate("a.b.c", KEYS, EXPECTED)) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        await asyncio.sleep(0)
        gated.open.set()
        return list(await asyncio.gather(*asked, return_exceptions=True)), gated.calls

    (left, *refused), calls = asyncio.run(ask())

    assert isinstance(left, asyncio.CancelledError)
    assert [getattr(error, "code", None) for error in refused] == ["token-expired"] * 2
    assert calls == 1


def _validate(answer: Any, text: str = "a.b.c") -> Claims:
    validator = ConsentValidator(Canned(VALIDATE, answer))
    both = (validator.validate(text, KEYS, EXPECTED), asyncio.run(validator.avalidate(text, KEYS, EXPECTED)))
    assert both[0] == both[1]
    return both[0]


def _decide(answer: Any, candidates: tuple[Candidate, ...] = OFFERED) -> Decision:
    personalizer = Personalizer(Canned(DECIDE, answer))
    both = (
        personalizer.decide("home-hero", Signals(), candidates, 3),
        asyncio.run(personalizer.adecide("home-hero", Signals(), candidates, 3)),
    )
    assert both[0] == both[1]
    return both[0]


def test_claims_in_order_are_returned() -> None:
    """Called either way, the same claims."""
    assert _validate(Ok(GOOD)) == GOOD


def test_a_decision_on_offer_is_returned() -> None:
    """The bounds of propensity and adjustment belong to the contract."""
    assert _decide(Ok(CHOICE)) == CHOICE


@pytest.mark.parametrize("code", REJECTIONS)
def test_each_refusal_of_a_token_keeps_its_code(code: str) -> None:
    """The WIT case is the error's code, and 401 its status."""
    with pytest.raises(Rejected) as refusal:
        _validate(Err(code))

    assert (code, 401) == (refusal.value.code, refusal.value.status)


@pytest.mark.parametrize("code", DECISION_ERRORS)
def test_each_refusal_to_decide_keeps_its_code(code: str) -> None:
    """The WIT case is the error's code."""
    with pytest.raises(Rejected) as refusal:
        _decide(Err(code))

    assert code == refusal.value.code


@pytest.mark.parametrize(
    "claims",
    [
        GOOD._replace(iss="somebody else"),
        GOOD._replace(aud="other"),
        GOOD._replace(exp=EXPECTED.now),
        GOOD._replace(exp=EXPECTED.now + 10_000),
        GOOD._replace(iat=EXPECTED.now + 100, exp=EXPECTED.now + 200),
        GOOD._replace(sub="an e-mail address"),
        GOOD._replace(scopes=("contextual", "contextual")),
        GOOD._replace(hash="none"),
    ],
)
def test_claims_nobody_asked_for_are_rubbish(claims: Claims) -> None:
    """A validation function that says yes to the wrong thing is broken, not believed."""
    with pytest.raises(Unavailable) as failure:
        _validate(Ok(claims))

    assert failure.value.code == "sandbox-rubbish"


@pytest.mark.parametrize(
    "decision",
    [
        replace(CHOICE, asset="admin-panel"),
        replace(CHOICE, copy="Calm."),
        replace(CHOICE, copy="<script>"),
        replace(CHOICE, propensity=0),
        replace(CHOICE, propensity=17),
        replace(CHOICE, adjustment=Adjustment(warmth=101)),
        replace(CHOICE, adjustment=Adjustment(brightness=-101)),
        replace(CHOICE, adjustment=Adjustment(saturation=32767)),
    ],
)
def test_a_decision_that_was_not_on_offer_is_rubbish(decision: Decision) -> None:
    """What is shown is always one of the candidates, with one of its own texts."""
    with pytest.raises(Unavailable) as failure:
        _decide(Ok(decision))

    assert failure.value.code == "sandbox-rubbish"


def test_a_refusal_outside_the_contract_is_rubbish() -> None:
    """A function cannot invent codes."""
    for run in (_validate, _decide):
        with pytest.raises(Unavailable) as failure:
            run(Err("because"))
        assert failure.value.code == "sandbox-rubbish"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x" * 4097, "token-too-long"),
        ("x" * 1_000_000, "token-too-long"),
        ("é.b.c", "token-base64"),
        ("\ud800", "token-malformed"),
    ],
)
def test_what_can_never_be_a_token_does_not_reach_the_guest(text: str, code: str) -> None:
    """String hashing in a guest has no secret seed, so the host bounds what goes in."""
    runner = Canned(VALIDATE, Ok(GOOD))

    with pytest.raises(Rejected) as refusal:
        ConsentValidator(runner).validate(text, KEYS, EXPECTED)

    assert (code, 0) == (refusal.value.code, runner.calls)


@pytest.mark.parametrize(
    ("slot", "signals", "candidates", "entropy"),
    [
        ("home-hero", Signals(), OFFERED, 256),
        ("home-hero", Signals(), OFFERED, -1),
        ("\ud800", Signals(), OFFERED, 3),
        ("home-hero", Signals(), (Candidate("x" * 5_000_000, (), ("Copy",)),), 3),
    ],
    ids=["entropy 256", "entropy -1", "a lone surrogate", "5 MB"],
)
def test_input_that_does_not_fit_the_contract_is_rejected(
    slot: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int
) -> None:
    """The caller hears `bad-input`; the pool goes on."""
    with SandboxPool(compiled(guests.counting())) as pool:
        with pytest.raises(Rejected) as refusal:
            Personalizer(pool).decide(slot, signals, candidates, entropy)
        with pytest.raises(Rejected):
            asyncio.run(Personalizer(pool).adecide(slot, signals, candidates, entropy))

        assert refusal.value.code == "bad-input"
        assert Personalizer(pool).decide("home-hero", Signals(), OFFERED, 3).asset == "summit"


def test_a_function_in_the_wrong_place_is_refused() -> None:
    """A signed personaliser cannot be used to validate consent."""
    with pytest.raises(Untrusted) as refusal:
        ConsentValidator(Canned(DECIDE, Ok(CHOICE)))

    assert refusal.value.code == "component-exports"


def test_the_requests_an_image_is_taken_after_are_public_and_no_key_opens_them_today() -> None:
    """They are in our source, expired in 2001, and issued by nobody this system trusts."""
    for text, keys, expected in EXPORTS[0].public:
        assert expected.issuer == "warm-up"
        assert expected.now <= 1_000_000_100
        assert [key.kid for key in keys] == ["warm-up"]
        assert text.isascii()
