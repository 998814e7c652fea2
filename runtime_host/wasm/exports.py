"""The functions a component can export to this host, and the public data each sandbox is warmed up with.

A sandbox makes one call before its request, on data that is the same for everybody and part of this source. It pays
the costs a first call has (page faults, lazy imports) ahead of the request and carries nothing of any request.
"""

from dataclasses import dataclass, replace
from typing import Any

from consent_core.decision.contract import (
    CONSENT_INTERFACE,
    DECISION_ERRORS,
    PERSONALIZATION_INTERFACE,
    Candidate,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.formats.token import CATEGORIES, REJECTIONS, Expectation, Key


@dataclass(frozen=True, slots=True)
class Export:
    """One function of one interface. `shape`: its type as `shapes.shape` writes it.

    `warm_up`: arguments of the call that precedes a request; None: no such call.
    """

    interface: str
    function: str
    shape: str
    warm_up: tuple[Any, ...] | None = None

    def without_warm_up(self) -> "Export":
        """The same function, called only by requests: for measuring and for tests."""
        return replace(self, warm_up=None)


_KEYS = "list<{kid: string, algorithm: ed25519|es256, key: list<u8>}>"
_EXPECTED = "{issuer: string, audience: string, now: u64, leeway: u32}"
_CLAIMS = (
    "{iss: string, aud: string, sub: string, iat: u64, exp: u64, jti: string, ver: u64, "
    f"scopes: list<{'|'.join(CATEGORIES)}>, region: string, hash: string}}"
)
_PAGE = "{path: string, section: string, tags: list<string>, language: string}"
_INTERACTION = "{kind: impression|click|purchase, item: string, tags: list<string>, days-ago: u8}"
_ARM = "{experiment: string, arm: string}"
_SIGNALS = f"{{page: option<{_PAGE}>, history: option<list<{_INTERACTION}>>, experiment: option<{_ARM}>}}"
_CANDIDATES = "list<{asset: string, tags: list<string>, copies: list<string>}>"
_DECISION = (
    "{asset: string, copy: string, adjustment: {brightness: s16, saturation: s16, warmth: s16}, "
    "propensity: u8, explored: bool}"
)

# Signed with the private key of RFC 8032 section 7.1, test 1, which everybody knows; expired since 2001.
_TEXT = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6Indhcm0tdXAiLCJ0eXAiOiJjb25zZW50K2p3dCJ9."
    "eyJpc3MiOiJ3YXJtLXVwIiwiYXVkIjoiZWRnZSIsInN1YiI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUEiLCJpYXQiOjk5OTk5OTkw"
    "MCwiZXhwIjoxMDAwMDAwMTAwLCJqdGkiOiJ3YXJtLXVwIiwidmVyIjoxLCJzY29wZXMiOlsiY29udGV4dHVhbCIsImJlaGF2aW9y"
    "YWwiXSwicmVnaW9uIjoid2FybS11cCIsImhhc2giOiJzaGEyNTY6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"
    "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCJ9."
    "ISsrn1d28FAa9DfUCTetDWacjlvTzux9Awcr5jVSOG4QMm2M_KMKNPP68J6s8oTgJfvly2ecPr9Oq30D0rXOAg"
)
_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

VALIDATE = Export(
    CONSENT_INTERFACE,
    "validate",
    f"(string, {_KEYS}, {_EXPECTED}) -> result<{_CLAIMS}, {'|'.join(REJECTIONS)}>",
    (_TEXT, (Key("warm-up", "ed25519", _KEY),), Expectation("warm-up", "edge", 1_000_000_000, 0)),
)
DECIDE = Export(
    PERSONALIZATION_INTERFACE,
    "decide",
    f"(string, {_SIGNALS}, {_CANDIDATES}, u8) -> result<{_DECISION}, {'|'.join(DECISION_ERRORS)}>",
    (
        "warm-up",
        Signals(
            page=PageContext("/warm-up", "warm-up", ("warm", "up"), "en"),
            history=(Interaction("click", "warm-up", ("warm",), 1),),
        ),
        (Candidate("one", ("warm",), ("One",)), Candidate("two", ("up",), ("Two",))),
        0,
    ),
)
EXPORTS = (VALIDATE, DECIDE)
