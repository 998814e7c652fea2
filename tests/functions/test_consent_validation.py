"""Consent validation, natively and as a component: the same tokens, the same answers."""

import pytest

from consent_core.decision.contract import Err
from consent_core.errors import Rejected
from consent_core.formats.token import REJECTIONS
from runtime_host.wasm.functions import ConsentValidator
from tests.functions.tokens import CASES, EXPECTED, KEYS, NOW, Case, expected_claims, issued

ACCEPTED = (
    ("as issued", {}),
    ("no category", {"scopes": []}),
    ("every category", {"scopes": ["contextual", "behavioral", "experimental"]}),
    ("another order of categories", {"scopes": ["experimental", "contextual"]}),
    ("longest lifetime", {"iat": NOW, "exp": NOW + 300}),
    ("as early as leeway allows", {"iat": NOW + 5, "exp": NOW + 300}),
    ("last second", {"iat": NOW - 299, "exp": NOW + 1}),
    ("largest version", {"ver": 2**53 - 1}),
)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
@pytest.mark.parametrize(("_name", "claims"), ACCEPTED, ids=[name for name, _ in ACCEPTED])
def test_tokens_that_pyjwt_issues_are_accepted(
    validator: ConsentValidator, _name: str, claims: dict[str, object], algorithm: str
) -> None:
    """An independent issuer's tokens come back claim for claim."""
    assert validator.validate(issued(claims, algorithm), KEYS, EXPECTED) == expected_claims(claims)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_refused_with_its_own_code(validator: ConsentValidator, case: Case) -> None:
    """Each bad token is refused, and for the reason that is wrong with it."""
    with pytest.raises(Rejected) as refusal:
        validator.validate(case.token, case.keys, case.expected)

    assert refusal.value.code == case.code


def test_every_rejection_has_a_token() -> None:
    """No code of the format goes untested, and refusals outnumber acceptances."""
    assert {case.code for case in CASES} == set(REJECTIONS)
    assert len(CASES) > 2 * len(ACCEPTED)


def test_the_second_key_of_a_rotation_is_found(validator: ConsentValidator) -> None:
    """Old and new keys overlap; the token names which one signed it."""
    assert validator.validate(issued(algorithm="ES256"), KEYS[::-1], EXPECTED) == expected_claims()


BEYOND_THE_HOST = tuple(case for case in CASES if len(case.token) > 4096 or not case.token.isascii())


@pytest.mark.parametrize("case", BEYOND_THE_HOST, ids=[case.name for case in BEYOND_THE_HOST])
def test_the_guest_itself_refuses_what_the_host_keeps_out(validator: ConsentValidator, case: Case) -> None:
    """A megabyte, deep nesting, other alphabets: a host that forgets its own check still gets a refusal."""
    assert validator.runner.call(case.token, case.keys, case.expected) == Err(case.code)
