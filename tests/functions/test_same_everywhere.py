"""Native and component are one function: hypothesis looks for an input on which they differ."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.decision.contract import (
    Candidate,
    Decision,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.errors import Rejected
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.native import NativeFunction
from runtime_host.wasm.sandbox import Limits, SandboxPool
from tests.conftest import ROOT, Components
from tests.functions.tokens import EXPECTED, KEYS, issued

words = st.sampled_from(("water", "kayak", "tent", "snow", "boots", "arm:a", "", "é", "日本", "x" * 130)) | st.text(
    max_size=8
)
tags = st.lists(words, max_size=4).map(tuple)
pages = st.builds(PageContext, words, words, tags, st.sampled_from(("en", "")))
interactions = st.builds(
    Interaction, st.sampled_from(("impression", "click", "purchase")), words, tags, st.integers(0, 255)
)
signals = st.builds(
    Signals,
    st.none() | pages,
    st.none() | st.lists(interactions, max_size=6).map(tuple),
    st.none() | st.builds(ExperimentArm, words, words),
)
candidates = st.lists(st.builds(Candidate, words, tags, st.lists(words, max_size=3).map(tuple)), max_size=5).map(tuple)

Validators = tuple[ConsentValidator, ConsentValidator]
Personalizers = tuple[Personalizer, Personalizer]

PATIENT = Limits(deadline_s=10)  # what is compared here is answers, not time


@pytest.fixture(scope="module")
def validators(components: Components) -> Iterator[Validators]:
    pool = SandboxPool(
        load_component(components["consent_validation"], components.trust, now=0, revoked=frozenset()), PATIENT
    )
    yield ConsentValidator(NativeFunction(ROOT / "functions" / "consent_validation")), ConsentValidator(pool)
    pool.close()


@pytest.fixture(scope="module")
def personalizers(components: Components) -> Iterator[Personalizers]:
    pool = SandboxPool(
        load_component(components["personalization"], components.trust, now=0, revoked=frozenset()), PATIENT
    )
    yield Personalizer(NativeFunction(ROOT / "functions" / "personalization")), Personalizer(pool)
    pool.close()


@settings(max_examples=150)
@given(slot=words, signals=signals, candidates=candidates, entropy=st.integers(0, 17))
def test_decisions_do_not_differ(
    personalizers: Personalizers, slot: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int
) -> None:
    """The same decision or the same refusal, to the last number."""
    native, component = (_decided(each, slot, signals, candidates, entropy) for each in personalizers)

    assert native == component


@settings(max_examples=150)
@given(
    place=st.integers(0), character=st.sampled_from("Aa0_-.=e{ é\x00"), algorithm=st.sampled_from(("EdDSA", "ES256"))
)
def test_mutated_tokens_do_not_differ(validators: Validators, place: int, character: str, algorithm: str) -> None:
    """A token with one character changed is refused by both for the same reason."""
    text = issued(algorithm=algorithm)
    place %= len(text)
    mutated = text[:place] + character + text[place + 1 :]
    native, component = (_validated(each, mutated) for each in validators)

    assert native == component
    assert (native == "accepted") == (mutated == text)


def _decided(
    personalizer: Personalizer, slot: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int
) -> Decision | str:
    try:
        return personalizer.decide(slot, signals, candidates, entropy)
    except Rejected as rejected:
        return rejected.code


def _validated(validator: ConsentValidator, text: str) -> str:
    try:
        validator.validate(text, KEYS, EXPECTED)
    except Rejected as rejected:
        return rejected.code
    return "accepted"
