"""Consent validation as a component: the one token parser around the composed signature verifier."""

from componentize_py_types import Err
from wit_world.exports.consent import Category, Claims, Expectation, Rejection, VerificationKey
from wit_world.imports import signature

from consent_core.errors import Rejected
from consent_core.formats import token as consent_token

REJECTIONS = {code: Rejection[code.upper().replace("-", "_")] for code in consent_token.REJECTIONS}
CATEGORIES = {name: Category[name.upper()] for name in consent_token.CATEGORIES}
ALGORITHMS = {name: signature.Algorithm[name.upper()] for name in consent_token.ALGORITHMS.values()}


class Consent:
    """The export `consent-edge:functions/consent`."""

    def validate(self, token: str, keys: list[VerificationKey], expected: Expectation) -> Claims:
        """Claims of a token that is wholly in order; else `Err` with the first reason why not."""
        try:
            claims = consent_token.validate(token, [_key(key) for key in keys], _expectation(expected), _verify)
        except Rejected as rejected:
            raise Err(REJECTIONS[rejected.code]) from None
        return Claims(**{**claims._asdict(), "scopes": [CATEGORIES[name] for name in claims.scopes]})


def _key(key: VerificationKey) -> consent_token.Key:
    return consent_token.Key(key.kid, key.algorithm.name.lower(), key.key)


def _expectation(expected: Expectation) -> consent_token.Expectation:
    return consent_token.Expectation(expected.issuer, expected.audience, expected.now, expected.leeway)


def _verify(algorithm: str, key: bytes, message: bytes, signed: bytes) -> None:
    try:
        signature.verify(ALGORITHMS[algorithm], key, message, signed)
    except Err as error:
        raise Rejected("token-signature", "the signature does not belong to this text and key") from error
