"""The functions a component can export to this host, and public requests that the builder calls each with.

A component starts from the memory its interpreter has after these calls (`builder/finish/image.py`): they pay what a
first call costs. They are the same for everybody, part of this source, and carry nothing of any request.
"""

from dataclasses import dataclass
from typing import Any

from consent_core.decision.contract import (
    CONSENT_INTERFACE,
    DECISION_ERRORS,
    PERSONALIZATION_INTERFACE,
    Candidate,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.formats.token import CATEGORIES, REJECTIONS, Expectation, Key


@dataclass(frozen=True, slots=True)
class Export:
    """One function of one interface. `shape`: its type as `shapes.shape` writes it.

    `public`: arguments of the calls that the image is taken after.
    """

    interface: str
    function: str
    shape: str
    public: tuple[tuple[Any, ...], ...]


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

_EXPIRES = 1_000_000_100
_VALIDATIONS = tuple(
    (text, (Key("warm-up", "ed25519", _KEY),), Expectation("warm-up", "edge", now, 0))
    for text, now in ((_TEXT, _EXPIRES - 100), (_TEXT, _EXPIRES), (_TEXT[:-1], 0))
)
_PUBLIC_PAGE = PageContext("/boots/winter", "boots", ("boots", "winter", "leather"), "en")
_PUBLIC_HISTORY = tuple(Interaction("click", f"boot-{n}", ("boots", "brown"), n) for n in range(5))
_PUBLIC_CANDIDATES = tuple(
    Candidate(f"asset-{n}", ("boots", "snow", "arm:a"), ("For winter.", "Warm boots for you.")) for n in range(6)
)
_DECISIONS = tuple(
    ("home-hero", signals, _PUBLIC_CANDIDATES, entropy)
    for signals in (
        Signals(_PUBLIC_PAGE, _PUBLIC_HISTORY),
        Signals(_PUBLIC_PAGE),
        Signals(history=_PUBLIC_HISTORY),
        Signals(_PUBLIC_PAGE, _PUBLIC_HISTORY, ExperimentArm("hero", "a")),
        Signals(),
    )
    for entropy in (3, 15)
)

VALIDATE = Export(
    CONSENT_INTERFACE,
    "validate",
    f"(string, {_KEYS}, {_EXPECTED}) -> result<{_CLAIMS}, {'|'.join(REJECTIONS)}>",
    _VALIDATIONS,
)
DECIDE = Export(
    PERSONALIZATION_INTERFACE,
    "decide",
    f"(string, {_SIGNALS}, {_CANDIDATES}, u8) -> result<{_DECISION}, {'|'.join(DECISION_ERRORS)}>",
    _DECISIONS,
)
EXPORTS = (VALIDATE, DECIDE)
