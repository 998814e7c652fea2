"""The page is made from the verdict alone: nothing of a file becomes markup, nothing comes from elsewhere."""

from dataclasses import replace

from consent_core.evidence.page import page
from consent_core.evidence.verdict import judge

from .reading import verdict_of


def test_the_page_says_that_it_proves_nothing(played):
    """Its first words, and the file's digest for who wants to verify."""
    verdict = verdict_of(played, played.sealed(played.pack()))
    html = page(verdict)

    assert html.index("Printed by the operator; proves nothing; verify the JSON file.") < html.index("<h1>")
    assert html.count(verdict.digest) == 2
    assert "Printed by the operator" not in page(verdict, by_operator=False)


def test_the_page_holds_every_sentence_and_document(played):
    """The same function for every outcome, and the same text twice."""
    verdict = verdict_of(played, played.sealed(played.pack()))
    html = page(verdict)

    assert html == page(verdict)
    assert len(verdict.documents) > 20
    for result in verdict.results:
        assert f'<td class="number">{result.number}</td>' in html


def test_a_files_texts_are_no_markup(played):
    """An operator cannot put a script into the reader's browser."""
    attack = '<script src="https://example.test/x.js"></script><img onerror=alert(1) src=x>'
    pack = replace(played.pack(), left=(attack,), texts={"sha256:" + "0" * 64: attack})
    html = page(verdict_of(played, played.sealed(pack)))

    assert "<script" not in html
    assert "<img" not in html
    assert "https://" not in html.replace("https://example.test/x.js", "")
    assert "default-src 'none'" in html


def test_an_unreadable_file_still_gets_a_page(played):
    """Every check is there, the first of them fails."""
    from consent_core.evidence.opening import Circumstances

    html = page(judge(b"{}", played.trust.to_bytes(), Circumstances(played.now)))

    assert "The file does not answer its question." in html
