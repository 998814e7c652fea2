"""Consent tokens, issued. `docs/formats/consent-token.md`; the one parser is `consent_core.formats.token`.

issued = TokenIssuer(keys, issuer, clock).issue(sub, ver, scopes, region, policy_hash)
"""

import json
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from jwt.algorithms import Algorithm
from jwt.api_jws import PyJWS

from consent_core.clock import Clock
from consent_core.formats.token import AUDIENCE, MAX_LIFETIME_S, TYP, encode_base64url
from consent_core.trust.keys import KeyStore, SigningKey


class Issued(NamedTuple):
    """A token and the second at which it ends."""

    text: str
    expires_at: int


class _KeyStoreSigning(Algorithm):
    """Lets PyJWT sign with a key that the key store holds."""

    def prepare_key(self, key: SigningKey) -> SigningKey:
        return key

    def sign(self, msg: bytes, key: SigningKey) -> bytes:
        return key.sign(msg)

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        raise RuntimeError("tokens are verified by consent_core.formats.token, not here")

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        raise RuntimeError("key sets are written by consent_core.formats.jwks")

    @staticmethod
    def from_jwk(jwk: Any) -> Any:
        raise RuntimeError("key sets are read by consent_core.formats.jwks")


_JWS = PyJWS(algorithms=[])
_JWS.register_algorithm("EdDSA", _KeyStoreSigning())


def sign_jws(payload: bytes, typ: str, key: SigningKey) -> str:
    """A compact JWS by an ed25519 key, header exactly alg, kid and typ."""
    if key.algorithm != "ed25519":
        raise ValueError(f"{key.role} keys do not sign EdDSA")
    return _JWS.encode(payload, key, algorithm="EdDSA", headers={"kid": key.kid, "typ": typ})  # type: ignore[arg-type]


class TokenIssuer:
    """Issues tokens of one issuer, at most `lifetime_s` seconds long. `require` raises where none may be issued."""

    def __init__(
        self,
        keys: KeyStore,
        issuer: str,
        clock: Clock,
        lifetime_s: int = MAX_LIFETIME_S,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        if not 0 < lifetime_s <= MAX_LIFETIME_S:
            raise ValueError(f"a token lives 1 to {MAX_LIFETIME_S} s")
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._require = require

    def issue(self, sub: str, ver: int, scopes: tuple[str, ...], region: str, policy_hash: str) -> Issued:
        """A token that carries `scopes` for this version of the visitor's record."""
        self._require()
        now = self._clock.now()
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": sub,
            "iat": now,
            "exp": now + self._lifetime_s,
            "jti": encode_base64url(secrets.token_bytes(16)),
            "ver": ver,
            "scopes": list(scopes),
            "region": region,
            "hash": policy_hash,
        }
        return Issued(
            sign_jws(json.dumps(claims, separators=(",", ":")).encode("ascii"), TYP, self._keys.current("token")),
            now + self._lifetime_s,
        )
