"""The two functions of the main path as Python calls, run by either of two: a sandbox pool or the native twin.

    validator = ConsentValidator(SandboxPool(load_component(...)))
    claims = await validator.avalidate(text, keys, expected)     # Rejected("token-…") or Unavailable("sandbox-…")
    personalizer = Personalizer(SandboxPool(load_component(...)))
    decision = await personalizer.adecide("home-hero", signals, candidates, entropy)

An expected failure of the function is `Rejected` with the WIT case as its code. A value that has the right form but
breaks the contract (an asset that was not offered, claims that were not asked for) is `sandbox-rubbish`, as is a bad
form.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from consent_core.decision.contract import (
    ADJUSTMENT_LIMIT,
    DECISION_ERRORS,
    ENTROPY_VALUES,
    REJECTIONS,
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
from consent_core.formats import token
from runtime_host.wasm.exports import DECIDE, VALIDATE, Export


class Runner(Protocol):
    """What runs one exported function: `sandbox.SandboxPool` or `native.NativeFunction`."""

    @property
    def name(self) -> str:
        """The function's name."""
        ...

    @property
    def digest(self) -> str:
        """What ran, as `sha256:<hex>`: part of memo keys and cache entries."""
        ...

    @property
    def export(self) -> Export:
        """The function it runs."""
        ...

    def call(self, *arguments: Any) -> Any:
        """One call in this thread."""
        ...

    async def acall(self, *arguments: Any) -> Any:
        """One call that leaves the event loop free."""
        ...

    def prepare(self) -> None:
        """Make ahead what the next call can use."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class ConsentValidator:
    """Consent validation: a token in, its claims or the reason out. The event loop's thread owns `_asked`."""

    def __init__(self, runner: Runner) -> None:
        self.runner = _running(runner, VALIDATE)
        self.digest = runner.digest
        self._asked: dict[tuple[Any, ...], asyncio.Task[Any]] = {}

    def validate(self, text: str, keys: Sequence[VerificationKey], expected: Expectation) -> Claims:
        """The claims of a token that is wholly in order. Raises: Rejected("token-…"), Unavailable("sandbox-…")."""
        _refuse_early(text)
        return _claims(self.runner.call(text, tuple(keys), expected), expected)

    async def avalidate(self, text: str, keys: Sequence[VerificationKey], expected: Expectation) -> Claims:
        """As `validate`, leaving the event loop free.

        Requests that ask the very same at the same time, as the pictures of one page do, share one call.
        """
        _refuse_early(text)
        return _claims(await asyncio.shield(self._ask((text, tuple(keys), expected))), expected)

    def _ask(self, arguments: tuple[Any, ...]) -> "asyncio.Task[Any]":
        """The call for these arguments that runs now. Shielded above: a caller that leaves stops no other's call."""
        running = self._asked.get(arguments)
        if running is None:
            running = self._asked[arguments] = asyncio.create_task(self._call(arguments))
            running.add_done_callback(lambda task: self._answered(arguments, task))
        return running

    async def _call(self, arguments: tuple[Any, ...]) -> Any:
        return await self.runner.acall(*arguments)

    def _answered(self, arguments: tuple[Any, ...], task: "asyncio.Task[Any]") -> None:
        """A failure that no caller waits for any more is not reported as forgotten."""
        del self._asked[arguments]
        if not task.cancelled():
            task.exception()


class Personalizer:
    """Personalisation: signals and candidates in, one choice out."""

    def __init__(self, runner: Runner) -> None:
        self.runner = _running(runner, DECIDE)
        self.digest = runner.digest

    def decide(self, slot: str, signals: Signals, candidates: Sequence[Candidate], entropy: int) -> Decision:
        """The decision for a slot. `entropy`: 0 to 15.

        Raises: Rejected("no-candidates" | "no-signal" | "bad-entropy" | "bad-input"), Unavailable("sandbox-…").
        """
        offered = tuple(candidates)
        try:
            return _decision(self.runner.call(slot, signals, offered, entropy), offered)
        except (ValueError, TypeError) as error:
            raise Rejected("bad-input", "the input does not fit the contract") from error

    async def adecide(self, slot: str, signals: Signals, candidates: Sequence[Candidate], entropy: int) -> Decision:
        """As `decide`, leaving the event loop free."""
        offered = tuple(candidates)
        try:
            return _decision(await self.runner.acall(slot, signals, offered, entropy), offered)
        except (ValueError, TypeError) as error:
            raise Rejected("bad-input", "the input does not fit the contract") from error


def _running(runner: Runner, export: Export) -> Runner:
    if runner.export.interface != export.interface:
        raise Untrusted("component-exports", f"{runner.name} exports {runner.export.interface}, not {export.interface}")
    return runner


def _refuse_early(text: str) -> None:
    """Keep out of the guest what can never be a token: string hashing in there has no secret seed."""
    if len(text) > token.MAX_TOKEN_BYTES or not text.isascii():
        token.parse(text)


def _claims(result: Ok[Claims] | Err[str], expected: Expectation) -> Claims:
    if isinstance(result, Err):
        raise Rejected(_known(result.value, REJECTIONS), "the token is not in order", status=401)
    try:
        claims = token.read_claims({**result.value._asdict(), "scopes": list(result.value.scopes)})
        token.check_claims(claims, expected)
    except Rejected as error:
        raise Unavailable("sandbox-rubbish", f"the function returned claims with {error.code}") from error
    return claims


def _decision(result: Ok[Decision] | Err[str], candidates: tuple[Candidate, ...]) -> Decision:
    if isinstance(result, Err):
        raise Rejected(_known(result.value, DECISION_ERRORS), "the function decided nothing")
    decision = result.value
    offered = any(candidate.asset == decision.asset and decision.copy in candidate.copies for candidate in candidates)
    if not offered or not 1 <= decision.propensity <= ENTROPY_VALUES or not _in_range(decision.adjustment):
        raise Unavailable("sandbox-rubbish", "the function returned a decision that was not on offer")
    return decision


def _in_range(adjustment: Adjustment) -> bool:
    values = (adjustment.brightness, adjustment.saturation, adjustment.warmth)
    return all(-ADJUSTMENT_LIMIT <= value <= ADJUSTMENT_LIMIT for value in values)


def _known(code: str, codes: Sequence[str]) -> str:
    if code not in codes:
        raise Unavailable("sandbox-rubbish", "the function refused for a reason that is not in the contract")
    return code
