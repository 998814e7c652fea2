"""The Rego engine in our process: what goes in is what the rules see, and only our own errors come out."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected, Untrusted
from consent_core.policy.rego import ENTRYPOINTS, MAX_INPUT_CHARACTERS, MAX_VERDICTS, Rego

MODULE = b"""package consent_edge.probe

echo := input.text

is_edge if input.text == "edge"

same if input.text == input.other

keys := object.keys(input)

twice := input.number * 2
"""
PROBES = tuple(f"consent_edge.probe.{name}" for name in ("echo", "is_edge", "same", "keys", "twice"))


@pytest.fixture(scope="module")
def probe():
    return Rego({"consent_edge/probe/probe.rego": MODULE}, PROBES)


@given(text=st.text())
def test_a_text_arrives_unchanged(probe, text):
    """Zero bytes, quotes, escapes and all planes of Unicode: nothing is cut off or read twice."""
    assert probe.evaluate("consent_edge.probe.echo", {"text": text}) == text


@pytest.mark.parametrize("text", ["edge\0", "edge\0operator", "\\u0065dge", "edge\n", " edge", "ed\u00adge"])
def test_a_look_alike_is_not_the_same_text(probe, text):
    """The engine's own input type would take `edge` + zero byte for `edge`."""
    assert probe.evaluate("consent_edge.probe.is_edge", {"text": text}) is None
    assert probe.evaluate("consent_edge.probe.is_edge", {"text": "edge"}) is True


@given(text=st.text(), other=st.text())
def test_texts_are_equal_only_if_they_are(probe, text, other):
    """Comparison inside the engine agrees with Python's."""
    assert (probe.evaluate("consent_edge.probe.same", {"text": text, "other": other}) is True) == (text == other)


def test_undefined_is_none(probe):
    """A rule that says nothing says None, which is not True."""
    assert probe.evaluate("consent_edge.probe.echo", {}) is None
    assert probe.evaluate("consent_edge.probe.twice", {"number": "x"}) is None
    assert probe.evaluate("consent_edge.probe.keys", {"a": 1, "b": 2}) == ["a", "b"]


@pytest.mark.parametrize(
    "value", [{"text": "\ud800"}, {"text": float("nan")}, {"text": b"x"}, {"text": {1, 2}}, object()]
)
def test_what_has_no_json_form_is_rejected(probe, value):
    """Only values that mean the same to both sides."""
    with pytest.raises(Rejected) as refusal:
        probe.evaluate("consent_edge.probe.echo", value)

    assert refusal.value.code == "policy-input"


def test_deep_and_large_inputs_are_rejected(probe):
    """An attacker's nesting or megabytes never reach native code."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in ({"text": deep}, {"text": "x" * MAX_INPUT_CHARACTERS}):
        with pytest.raises(Rejected) as refusal:
            probe.evaluate("consent_edge.probe.echo", value)

        assert refusal.value.code == "policy-input"


def test_modules_that_do_not_compile_are_untrusted():
    """A verified bundle should not hold such; the engine's own exceptions stay inside."""
    for source in (b"package consent_edge.probe\n\nx := ", b"\xff", b"", b"package x\n\nimport"):
        with pytest.raises(Untrusted) as refusal:
            Rego({"consent_edge/probe/probe.rego": source}, PROBES)

        assert refusal.value.code == "policy-rego"


def test_only_entry_points_can_be_asked(probe):
    """A rule is asked by its declared name, or it is our own mistake."""
    with pytest.raises(ValueError, match="entry point"):
        probe.evaluate("consent_edge.consent.decision", {})


def test_threads_get_their_own_answers(published):
    """Four threads ask one policy different questions at once."""
    rego = published.bundle.rego()

    def ask(number):
        gpc, choice = bool(number % 2), ("contextual", "behavioral", "experimental")[number % 3]
        question = {"jurisdiction": "US-CA", "gpc": gpc, "age_band": "adult", "choices": [choice]}
        return rego.evaluate("consent_edge.consent.decision", question)["categories"] == (
            [] if gpc and choice == "behavioral" else [choice]
        )

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(200)))


def test_every_entry_point_of_the_shipped_policy_answers(published):
    """Each is compiled and says something about an empty input."""
    rego = published.bundle.rego()

    assert {rule for rule in ENTRYPOINTS if rego.evaluate(rule, {}) is None} == set()


def test_a_remembered_verdict_is_for_that_input_alone(probe):
    """Asked again, asked otherwise, asked often: the same answers, and a bounded memory."""
    for number in range(MAX_VERDICTS + 10):
        assert probe.evaluate("consent_edge.probe.is_edge", {"text": "edge", "n": number}) is True
    for text, verdict in (("edge", True), ("edge ", None), ("edge", True)):
        assert probe.evaluate("consent_edge.probe.is_edge", {"text": text}) is verdict
    assert probe.evaluate("consent_edge.probe.same", {"text": 1, "other": True}) is None
    assert probe.evaluate("consent_edge.probe.same", {"text": 1, "other": 1}) is True
