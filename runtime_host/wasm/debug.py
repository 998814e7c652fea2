"""One request of one function from JSON, with what it took: what `edge invoke` prints.

{"slot": "home-hero", "signals": {"page": {"path": "/", "section": "home", "tags": [], "language": "en"}},
 "candidates": [{"asset": "summit", "tags": ["alpine"], "copies": ["Higher."]}], "entropy": 3}

{"token": "eyJ…", "keys": [{"kid": "k1", "algorithm": "ed25519", "key": "<base64url>"}],
 "expected": {"issuer": "ui-tools/consent-edge", "audience": "edge", "now": 1800000000, "leeway": 5}}
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, TypeVar

from consent_core.decision.contract import (
    Candidate,
    Expectation,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
    VerificationKey,
)
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.token import decode_base64url
from runtime_host.wasm.exports import VALIDATE
from runtime_host.wasm.functions import ConsentValidator, Personalizer, Runner

T = TypeVar("T")
_TUPLES = frozenset({"tags", "copies"})  # lists in JSON, tuples in the contract


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request: what came out and what it took, in milliseconds.

    `prepare_ms`: making the instance and its call on public data. `call_ms`: the request itself.
    `code` is None when there is a `value` (the decision or the claims).
    """

    function: str
    digest: str
    prepare_ms: float
    call_ms: float
    value: Mapping[str, Any] | None
    code: str | None
    message: str | None

    def to_json(self) -> dict[str, Any]:
        """As `edge invoke --json` prints it."""
        return asdict(self)


def invoke(runner: Runner, request: Mapping[str, Any]) -> Invocation:
    """Run one request. A failure of the function is part of the result.

    Raises: Rejected("invoke-request") when the JSON is not a request of this function.
    """
    call = (
        _validation(runner, request)
        if runner.export.interface == VALIDATE.interface
        else _personalization(runner, request)
    )
    prepare_ms, _, failure = _timed(runner.prepare)
    call_ms, value = 0.0, None
    if failure is None:
        call_ms, value, failure = _timed(call)
    return Invocation(
        function=runner.name,
        digest=runner.digest,
        prepare_ms=prepare_ms,
        call_ms=call_ms,
        value=None if value is None else _as_json(value),
        code=None if failure is None else failure.code,
        message=None if failure is None else failure.message,
    )


def _timed(step: Callable[[], T]) -> tuple[float, T | None, ConsentEdgeError | None]:
    value, failure = None, None
    started = time.perf_counter()
    try:
        value = step()
    except ConsentEdgeError as error:
        failure = error
    return round((time.perf_counter() - started) * 1000, 3), value, failure


def _as_json(value: Any) -> dict[str, Any]:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else dict(value._asdict())


def _personalization(runner: Runner, request: Mapping[str, Any]) -> Callable[[], Any]:
    with _readable():
        signals = request["signals"]
        arguments = (
            str(request["slot"]),
            Signals(
                page=_optional(PageContext, signals.get("page")),
                history=_interactions(signals.get("history")),
                experiment=_optional(ExperimentArm, signals.get("experiment")),
            ),
            tuple(_record(Candidate, candidate) for candidate in request["candidates"]),
            int(request["entropy"]),
        )
    return lambda: Personalizer(runner).decide(*arguments)


def _validation(runner: Runner, request: Mapping[str, Any]) -> Callable[[], Any]:
    with _readable():
        keys = tuple(
            VerificationKey(key["kid"], key["algorithm"], decode_base64url(key["key"])) for key in request["keys"]
        )
        arguments = (str(request["token"]), keys, Expectation(**request["expected"]))
    return lambda: ConsentValidator(runner).validate(*arguments)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, Rejected) as error:
        message = f"not a request of this function: {type(error).__name__} {error}"
        raise Rejected("invoke-request", message) from error


def _interactions(values: Any) -> tuple[Interaction, ...] | None:
    return None if values is None else tuple(_record(Interaction, value) for value in values)


def _optional(record: type[T], value: Any) -> T | None:
    return None if value is None else _record(record, value)


def _record(record: type[T], value: Mapping[str, Any]) -> T:
    return record(**{name: tuple(field) if name in _TUPLES else field for name, field in value.items()})
