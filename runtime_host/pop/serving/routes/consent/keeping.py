"""`consent-no` for who has no module to write it: a plain form, an API client. The page's module keeps its own."""

import base64
import hashlib
import secrets
from collections.abc import Iterable

from consent_core.formats.refusals import COOKIES, MAX_ENTRIES, Refusal, write_refusals
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.http.answers import Header
from runtime_host.pop.serving.cookies import CookieNames
from runtime_host.pop.serving.routes.consent.asking import Asked

KEPT_S = 180 * 86_400  # as long as a record


class RefusalCookie:
    """Writes the cookie. Nothing for the page's module: no answer to it sets or clears what it keeps."""

    def __init__(self, cookies: CookieNames) -> None:
        self._cookies = cookies

    def after_no(self, asked: Asked, said: Refusal) -> list[Header]:
        """The browser's refusals with one more."""
        if asked.by_module:
            return []
        kept = _without(asked.refusals.entries, said.categories)[-(MAX_ENTRIES - 1) :]
        tag = asked.refusals.tag or encode_base64url(secrets.token_bytes(16))
        return self._set(asked, write_refusals(tag, [*kept, said]))

    def after_yes(self, asked: Asked, granted: Iterable[str]) -> list[Header]:
        """The browser's refusals without what was granted now; what could not be read goes."""
        refusals = asked.refusals
        if asked.by_module or not (refusals.entries or refusals.broken):
            return []
        kept = _without(refusals.entries, granted)
        if not kept:
            return self.clear()
        return self._set(asked, write_refusals(refusals.tag or encode_base64url(secrets.token_bytes(16)), kept))

    def _set(self, asked: Asked, value: str) -> list[Header]:
        """One value from now on: those of other names would be united with it."""
        others = [header for name, header in self._named("", 0) if name != self._cookies.refusals]
        present = asked.headers.get(b"cookie", b"")
        stale = others if any(name + b"=" in present for name in COOKIES if name != self._cookies.refusals) else []
        return [*stale, (b"set-cookie", self._cookies.set_refusals(self._cookies.refusals, value, KEPT_S))]

    def clear(self) -> list[Header]:
        """Takes it from the browser: nothing is refused any more, or its visitor was erased."""
        return [header for _, header in self._named("", 0)]

    def _named(self, value: str, life_s: int) -> list[tuple[bytes, Header]]:
        names = COOKIES if self._cookies.secure else (self._cookies.refusals,)
        return [(name, (b"set-cookie", self._cookies.set_refusals(name, value, life_s))) for name in names]


def canonical_key(key: str) -> str:
    """The key as the cookie can spell it: 16 bytes; another one gives its SHA-256's first 16."""
    try:
        raw = base64.urlsafe_b64decode(key + "==") if len(key) == 22 else b""
    except ValueError:
        raw = b""
    if len(raw) == 16 and encode_base64url(raw) == key:
        return key
    return encode_base64url(hashlib.sha256(key.encode("ascii")).digest()[:16])


def _without(entries: Iterable[Refusal], categories: Iterable[str]) -> list[Refusal]:
    """Newest last; per category only the newest entry names it."""
    gone = set(categories)
    kept: list[Refusal] = []
    for entry in sorted(entries, key=lambda entry: (entry.number, entry.at), reverse=True):
        left = tuple(name for name in entry.categories if name not in gone)
        gone |= set(left)
        if left and entry.key not in {other.key for other in kept}:
            kept.append(Refusal(entry.number, left, entry.key, entry.at))
    return kept[::-1]


def everything(categories: tuple[str, ...] | None) -> tuple[str, ...]:
    """The categories that a "no" names; None names all."""
    return CATEGORIES if categories is None else categories
