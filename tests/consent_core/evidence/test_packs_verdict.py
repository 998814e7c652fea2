"""What a reader is told of a file: every sentence, the first line, the exit code."""

import pytest

from consent_core.evidence.opening import Circumstances
from consent_core.evidence.verdict import judge
from consent_core.formats.canonical import sha256_digest

from .reading import failing, shown, verdict_of
from .world import NO_SEQ, World


def test_a_truthful_file_answers_its_question(played):
    """Everything holds but what nobody can show yet: that no model learnt."""
    data = played.sealed(played.pack())
    verdict = verdict_of(played, data)

    assert failing(verdict) == {}
    assert [result.number for result in verdict.results if result.verdict != "holds"] == [14]
    assert (verdict.exit_code, verdict.question) == (0, "deletion")


def test_the_first_line_asks_where_the_trust_file_is_from(played):
    """A verdict is worth what the trust file is worth."""
    first = verdict_of(played, played.sealed(played.pack())).lines[0]

    assert first == f"trust file SHA-256 {sha256_digest(played.trust.to_bytes())[7:]}: from where do you have it?"


@pytest.mark.parametrize("question", ["consent", "enforcement"])
def test_an_earlier_file_answers_less(tmp_path, question):
    """A file about consent or its withdrawal needs no request and no closing statement."""
    world = World(tmp_path)
    for act in (world.begin, world.say_yes, world.say_no):
        act()
    verdict = verdict_of(world, world.sealed(world.pack(question)))

    assert (failing(verdict), verdict.exit_code) == ({}, 0)


def test_without_the_own_receipt_it_does_not_say_about_whom(played):
    """Whether the file is about the reader, and whether a later choice exists, only their receipt shows."""
    verdict = verdict_of(played, played.sealed(played.pack()), receipt=None)

    assert shown(verdict, 0) == "not shown"
    assert "only your own newest receipt tells" in verdict.results[0].sentence


def test_without_the_closing_statement_the_proofs_may_still_be_there(played):
    """The file admits under `open` that its proofs are not gone yet: not shown, and no failure."""
    data = played.sealed(played.pack())
    verdict = judge(data, played.trust.to_bytes(), Circumstances(played.now, played.receipts[-1]))

    assert (shown(verdict, 15), verdict.results[15].excused, verdict.exit_code) == ("not shown", True, 0)


def test_numbers_of_the_story_are_what_the_sentences_say(played):
    """The lawyer reads counts, not adjectives."""
    verdict = verdict_of(played, played.sealed(played.pack()))
    assert "At all 2 listed places" in verdict.results[11].sentence
    assert "1 s after" in verdict.results[11].sentence
    assert f"entry {NO_SEQ}" in verdict.results[9].sentence
