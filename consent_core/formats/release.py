"""A signed model release: which weights, in which template, made of which updates, and what follows it.

    envelope = sign_release(release, keys.current("release"))
    release = open_release(envelope, trust, now, revoked)
    require_newer(release, highest=41, now=now)      # a lower epoch is a downgrade

Wire format: `docs/formats/release.md`. A rollback is a release of a higher epoch with older weights, so that a
compliance rollback goes through the very check that refuses a downgrade.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.dsse import Signer, Verifier, open_statement, sign_statement
from consent_core.formats.fields import Fields
from consent_core.formats.template import Places, read_places, release_malformed

RELEASE_TYPE: Final = "application/vnd.consent-edge.release+json"
ROLE: Final = "release"
MAX_BYTES: Final = 1_048_576
REASONS: Final = ("learned", "rollback", "replay")

NAME = re.compile(r"model-v[0-9]{8}\.[1-9][0-9]{0,3}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMPONENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TEXTS = ("template", "component", "compiled", "weights", "master")


@dataclass(frozen=True, slots=True)
class Release:
    """One release of one model set, which is one component.

    epoch: rises with every release, also with a rollback. parents: releases it follows or takes its weights from.
    updates: digests of those it is made of. template, component, compiled, weights, master: digests. places: where the
    weights lie in component and compiled form. approval: clause id and digest, who, when. expires: Unix seconds.
    """

    model_id: str
    release: str
    epoch: int
    parents: tuple[str, ...]
    updates: tuple[str, ...]
    reason: str
    models: tuple[str, ...]
    template: str
    component: str
    compiled: str
    weights: str
    master: str
    places: tuple[Places, Places]
    privacy: Mapping[str, Any]
    approval: Mapping[str, Any]
    expires: int


def sign_release(release: Release, signer: Signer) -> bytes:
    """The content of `release.dsse`."""
    return sign_statement(RELEASE_TYPE, canonical_json(_value(release)), signer)


def open_release(envelope: bytes, trust: Verifier, now: int, revoked: frozenset[str]) -> Release:
    """Raises: Untrusted("release-signature" | "release-malformed")."""
    try:
        payload = open_statement(envelope, RELEASE_TYPE, trust, ROLE, now, revoked)
    except Untrusted as error:
        raise Untrusted("release-signature", f"not signed with a key of role {ROLE}") from error
    try:
        value = read_json_object(payload, MAX_BYTES)
    except Untrusted as error:
        raise release_malformed(error.message) from error
    return _read(value)


def require_newer(release: Release, highest: int, now: int, withdrawn: frozenset[str] = frozenset()) -> None:
    """What a place asks before it takes a release in. highest: the highest epoch that it has seen of this model.

    Raises: Untrusted("release-epoch" | "release-expired" | "release-withdrawn"); the last good one stays.
    """
    if release.epoch <= highest:
        raise Untrusted("release-epoch", f"epoch {release.epoch} after epoch {highest}")
    if now >= release.expires:
        raise Untrusted("release-expired", "out of date")
    if release.release in withdrawn:
        raise Untrusted("release-withdrawn", "the revocation log names it")


def _value(release: Release) -> dict[str, Any]:
    same = ("model_id", "release", "epoch", "reason", "expires", *_TEXTS)
    value: dict[str, Any] = {name: getattr(release, name) for name in same}
    value |= {name: list(getattr(release, name)) for name in ("parents", "updates", "models")}
    value |= {name: dict(getattr(release, name)) for name in ("privacy", "approval")}
    wasm, cwasm = ({model: place.to_json() for model, place in places.items()} for places in release.places)
    return {**value, "version": 1, "places": {"component": wasm, "compiled": cwasm}}


def _read(value: Mapping[str, Any]) -> Release:
    lists = ("parents", "updates", "models", "privacy", "approval", "places")
    scalars = ("version", "model_id", "release", "epoch", "reason", "expires", *_TEXTS)
    fields = Fields(dict(value), release_malformed, (*scalars, *lists))
    if fields.number("version") != 1 or fields.number("epoch") < 1:
        raise release_malformed("version is 1, epochs begin at 1")
    places = Fields(fields.mapping("places"), release_malformed, ("component", "compiled"))
    approval = Fields(fields.mapping("approval"), release_malformed, ("clause_id", "clause_sha256", "approver", "at"))
    for name in ("clause_id", "clause_sha256", "approver"):
        approval.text(name, 256)
    return Release(
        model_id=fields.matching("model_id", _COMPONENT),
        release=fields.matching("release", NAME),
        epoch=fields.number("epoch"),
        parents=_texts(fields, "parents", NAME),
        updates=_texts(fields, "updates", _DIGEST),
        reason=fields.one_of("reason", REASONS),
        models=_texts(fields, "models", _COMPONENT),
        template=fields.matching("template", _DIGEST),
        component=fields.matching("component", _DIGEST),
        compiled=fields.matching("compiled", _DIGEST),
        weights=fields.matching("weights", _DIGEST),
        master=fields.matching("master", _DIGEST),
        places=(read_places(places.mapping("component")), read_places(places.mapping("compiled"))),
        privacy=fields.mapping("privacy"),
        approval=fields.mapping("approval"),
        expires=fields.number("expires"),
    )


def _texts(fields: Fields, name: str, form: re.Pattern[str]) -> tuple[str, ...]:
    items = fields.items(name, 10_000)
    if not all(isinstance(item, str) and form.fullmatch(item) for item in items) or len(set(items)) != len(items):
        raise release_malformed(f"{name}: expected distinct texts of the agreed form")
    return tuple(items)
