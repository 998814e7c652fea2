"""Rego in this process, for modules that a verified bundle carries.

    rego = Rego(bundle.files)
    rego.evaluate("personalization.authz.allow", {...}) is True

A prebuilt plan answers in about a millisecond, a verdict given before in microseconds. The engine says nothing about
threads, so one lock per `Rego` lets one caller in at a time. Unreviewed modules go through `examination` instead.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from consent_core.errors import ConsentEdgeError, Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.policy.engine import Engine, json_text

ENTRYPOINTS = (
    "personalization.authz.allow",
    "consent_edge.consent.decision",
    "consent_edge.consent.catalogue",
    "consent_edge.brand.allow",
    "consent_edge.brand.violations",
    "consent_edge.placement.allow",
    "consent_edge.placement.reasons",
)
DATA_FILE = "data.json"
TEST_SUFFIX = "_test.rego"
MAX_DATA_BYTES = 8_388_608
MAX_INPUT_CHARACTERS = 65_536  # of JSON
MAX_VERDICTS = 4_096
MAX_REMEMBERED = 1_024  # characters of one input

_T = TypeVar("_T")


class Rego:
    """Compiled modules with their data. `_engine` and `_verdicts` are owned by `_lock`."""

    def __init__(self, files: Mapping[str, bytes], entrypoints: tuple[str, ...] = ENTRYPOINTS) -> None:
        """Compile every `*.rego` of `files` (path -> content), tests apart, over the data of `data.json`.

        Raises: Untrusted("policy-rego").
        """
        self._lock = threading.Lock()
        self._entrypoints = frozenset(entrypoints)
        self._verdicts: dict[tuple[str, str], bool] = {}
        data = read_json_object(files.get(DATA_FILE, b"{}"), MAX_DATA_BYTES)
        paths = [path.replace(".", "/") for path in entrypoints]
        self._engine = _guarded(lambda: Engine(modules_of(files), data, paths), _cannot_compile)

    def evaluate(self, rule: str, value: Any) -> Any:
        """What `rule` (dotted, one of the entry points) says about an input; None if it says nothing.

        Raises: Rejected("policy-input") for what is not JSON or too large, Unavailable("policy-evaluation").
        """
        if rule not in self._entrypoints:
            raise ValueError(f"{rule} is not an entry point")
        text = _input_text(value)
        with self._lock:
            known = self._verdicts.get((rule, text))
            if known is not None:
                return known
            answer = _guarded(lambda: self._engine.ask(rule.replace(".", "/"), text), _cannot_answer)
            if isinstance(answer, bool):
                self._remember(rule, text, answer)
            return answer

    def _remember(self, rule: str, text: str, verdict: bool) -> None:
        """Rules depend on nothing but their input, so a verdict on the same text is the same verdict."""
        if len(self._verdicts) >= MAX_VERDICTS:
            self._verdicts.clear()
        if len(text) <= MAX_REMEMBERED:
            self._verdicts[rule, text] = verdict


def modules_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The Rego modules among files, without their tests. Raises: Untrusted("policy-rego")."""
    try:
        return {
            path: content.decode("utf-8")
            for path, content in files.items()
            if path.endswith(".rego") and not path.endswith(TEST_SUFFIX)
        }
    except UnicodeDecodeError as error:
        raise Untrusted("policy-rego", "a module is not UTF-8") from error


def _input_text(value: Any) -> str:
    try:
        text = json_text(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Rejected("policy-input", "the input has no JSON form") from error
    if len(text) > MAX_INPUT_CHARACTERS:
        raise Rejected("policy-input", f"expected at most {MAX_INPUT_CHARACTERS} characters, got {len(text)}")
    return text


def _guarded(action: Callable[[], _T], failure: Callable[[], ConsentEdgeError]) -> _T:
    """Run one engine call. Native code raises what it likes; only our own errors leave here."""
    try:
        return action()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise failure() from error


def _cannot_compile() -> ConsentEdgeError:
    return Untrusted("policy-rego", "the policy modules do not compile")


def _cannot_answer() -> ConsentEdgeError:
    return Unavailable("policy-evaluation", "the policy engine did not answer")
