"""Many a "no" in one request: one transaction, an answer each, a bad row blocks no other, whoever sends twice."""

import json
import threading
from dataclasses import replace

import pytest

from consent_core.errors import ConsentEdgeError
from consent_core.formats.session import credentials_of
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import MAX_ROWS, RowError, WithdrawalRow, read_answers, write_rows
from tests.control_plane.conftest import POP, Browser, new_secret, poll


def crowd(plane, count):
    browsers = [Browser(plane) for _ in range(count)]
    for browser in browsers:
        browser.grant(*CATEGORIES)
    return browsers


def test_each_row_is_answered_in_its_place(either_plane):
    """Good, unknown, malformed, twice, good: the versions of the good ones, the codes of the others."""
    plane = either_plane
    one, two = crowd(plane, 2)
    nobody = Browser(plane)
    nobody.secret = new_secret()
    rows = [one.row("behavioral"), nobody.row(), RowError("", "bad-request", "key: missing"), two.row(number=7)]
    answers = plane.consents.withdraw_many([*rows, rows[0]])

    assert [answer.code for answer in answers] == [None, "session-unknown", "bad-request", None, None]
    assert [answer.ver for answer in answers] == [2, 0, 0, 7, 2]
    assert answers[0].subject == subject_of(one.sub)
    assert answers[3].numbers == dict.fromkeys(CATEGORIES, 7)
    assert [answer.key for answer in answers] == [rows[0].key, rows[1].key, "", rows[3].key, rows[0].key]
    assert [(e.subject, e.ver, e.said) for e in poll(plane).entries if e.kind == "session"] == [
        (subject_of(one.sub), 2, 2),
        (subject_of(two.sub), 7, 7),
    ]


def test_the_route_takes_ndjson_and_answers_ndjson(mesh, plane):
    """Up to 256 lines; what is no row is an answer too; no line, or one too many, is a refusal of all."""
    (visitor,) = crowd(plane, 1)
    row = visitor.row("behavioral", key="k" * 22)
    body = write_rows([row]) + b'{"key": "short"}\n' + b"[" * 900 + b"\n" + b"x" * 2_000 + b"\n"
    reply = mesh("POST", "/v1/withdrawals", content=body)
    answers = read_answers(reply.content, ["k" * 22, "", "", ""])

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")
    assert [answer.code for answer in answers] == [None, "bad-request", "bad-request", "bad-request"]
    for wrong in (b"", b"\n" * (MAX_ROWS + 1)):
        refusal = mesh("POST", "/v1/withdrawals", content=wrong)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (400, "bad-request")
    assert mesh("POST", "/v1/withdrawals", content=b"x" * 300_000).status_code == 413


def test_a_subject_that_the_pop_vouches_for_counts_where_the_session_is_unknown(plane, refused):
    """After a restore the control plane may not know the session; an unknown subject names no visitor."""
    one, two = crowd(plane, 2)
    unknown = credentials_of(new_secret().encode()).withdraw
    row = WithdrawalRow("k" * 22, unknown, None, subject_of(one.sub), None, ("contextual",), POP, 0)

    assert plane.consents.withdraw_many([row])[0].subject == subject_of(one.sub)
    assert plane.consents.withdraw_many([replace(two.row("behavioral"), subject=subject_of(one.sub))])[0].subject == (
        subject_of(two.sub)  # the session says whose it is
    )
    assert plane.consents.withdraw_many([replace(row, subject="ab" * 32)])[0].code == "session-unknown"
    refused("session-unknown", 404, plane.consents.withdraw, None, replace(row, subject=None))


def test_a_full_batch_is_one_transaction(plane):
    """256 visitors: their entries follow each other, and nothing is seen of half of them."""
    browsers = crowd(plane, MAX_ROWS)
    before = plane.log.head()
    answers = plane.consents.withdraw_many([browser.row() for browser in browsers])

    assert {answer.code for answer in answers} == {None}
    assert plane.log.head() == before + MAX_ROWS


def test_batches_that_name_the_same_people_in_other_orders_all_count(either_plane):
    """No dead locks on PostgreSQL: everybody locks visitors in one order, before the log."""
    plane = either_plane
    browsers = crowd(plane, 12)
    start, failures = threading.Barrier(6), []

    def send(turn):
        order = browsers[turn:] + browsers[:turn] if turn % 2 else browsers[::-1]
        start.wait()
        try:
            answers = plane.consents.withdraw_many([browser.row(CATEGORIES[turn % 3]) for browser in order])
            failures.extend(answer.code for answer in answers if answer.code)
        except ConsentEdgeError as error:
            failures.append(error.code)

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert {browser.refresh().choices for browser in browsers} == {()}


@pytest.mark.parametrize("late", [False, True])
def test_a_copy_at_another_pop_counts_once(plane, late):
    """Two POPs forward one click of one visitor; between them the visitor said yes again, which stays."""
    (visitor,) = crowd(plane, 1)
    row = visitor.row("behavioral", number=2)
    plane.consents.withdraw_many([row])
    if late:
        visitor.grant("behavioral", number=3)
    head = plane.log.head()
    (answer,) = plane.consents.withdraw_many([replace(row, pop="osaka-1")])

    assert plane.log.head() == head
    assert ("behavioral" in visitor.refresh().choices) is late
    assert json.loads(json.dumps(dict(answer.numbers)))["behavioral"] == 2 + late
