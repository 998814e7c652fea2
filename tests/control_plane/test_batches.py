"""A batch is its rows one by one: the same answers, records, entries, receipts, leaves and proofs, whatever is in it.

Each example makes two sets of people with one history. The first set's rows come in one batch, the second's one by
one through the single route. What differs by chance (names, salts, ids, signatures) is left out of the comparison.
"""

import json
import secrets
import shutil
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, update

from consent_core.clock import ManualClock
from consent_core.errors import ConsentEdgeError
from consent_core.formats.receipt import peek_receipt
from consent_core.formats.session import stored
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import RowError, WithdrawalAnswer
from control_plane.app import create_app
from control_plane.consent import records
from control_plane.settings import Settings
from control_plane.store.schema import ledger_outbox, queue, sessions
from tests.control_plane.conftest import Browser, new_secret, poll

C, B, E = CATEGORIES
SOME_NUMBERS = (None, 0, 1, 2, 4, 6, 300, 2**40)
PEOPLE = 3
NOBODY, MALFORMED = PEOPLE, PEOPLE + 1


@dataclass(frozen=True)
class Said:
    """One row, before it is known of which set of people."""

    who: int
    named: tuple[str, ...]
    number: int | None
    key: int
    by_subject: bool


@dataclass
class People:
    """Somebody who chose all, somebody who chose again later, and somebody known since version 0.1.0."""

    plane: object
    keys: list[str]

    def __post_init__(self):
        self.browsers = [Browser(self.plane) for _ in range(PEOPLE)]
        self.browsers[0].grant(*CATEGORIES)
        self.browsers[1].grant(C)
        self.browsers[1].grant(B, number=6)
        self.browsers[2].grant(C, E)
        with self.plane.database.write() as connection:
            mine = sessions.c.sub == self.browsers[2].sub
            connection.execute(
                update(sessions).where(mine).values(withdraw=None, session=stored(self.browsers[2].secret))
            )
        self.subjects = [subject_of(browser.sub) for browser in self.browsers]
        self.head = self.plane.log.head()

    def row(self, said):
        if said.who == MALFORMED:
            return RowError("", "bad-request", "no row")
        browser = self.browsers[said.who % PEOPLE]
        row = browser.row(*said.named, key=self.keys[said.key], number=said.number)
        if said.who == NOBODY:
            nobody = Browser(self.plane)
            nobody.secret = new_secret()
            return replace(nobody.row(), key=row.key, subject="ab" * 32 if said.by_subject else None)
        if said.by_subject:
            return replace(row, withdraw=None, subject=self.subjects[said.who])
        if said.who == 2:
            return replace(row, withdraw=None, session_legacy=stored(browser.secret))
        return row

    def named(self, subject):
        return None if subject is None else self.subjects.index(subject)

    def entries(self):
        """The log's entries about these people, verified as a POP does: numbers and chain without a gap."""
        found = poll(self.plane, self.head).entries
        return [(self.named(e.subject), e.kind, e.categories, e.ver, e.said, e.at, e.effect) for e in found]

    def histories(self):
        """Every version of each, with what its receipt says."""
        with self.plane.database.read() as connection:
            versions = [records.history(connection, browser.sub) for browser in self.browsers]
        return [[(replace(r, sub="", receipt=""), receipt_of(r)) for r in mine] for mine in versions]

    def proofs(self):
        """What was kept of each, by kind."""
        with self.plane.database.read() as connection:
            kept = [self.plane.proofs.of(connection, subject) for subject in self.subjects]
        return [sorted(json.loads(proof.body)["kind"] for proof in mine) for mine in kept]

    def answered(self, answers):
        return [(a.key, a.ver, dict(a.numbers), self.named(a.subject), a.code, a.message) for a in answers]


def receipt_of(record):
    """What a receipt says; whose it is by name, and its own name, differ."""
    said = peek_receipt(record.receipt)
    return {name: value for name, value in said.items() if name not in ("receipt_id", "record_id", "pii_principal_id")}


def one_by_one(people, rows):
    """The answers of the single route, as a batch gives them."""
    for row in rows:
        if isinstance(row, RowError):
            yield WithdrawalAnswer(row.key, code=row.code, message=row.message)
            continue
        try:
            record = people.plane.consents.withdraw(None, row)
            yield WithdrawalAnswer(row.key, record.ver, record.numbers, subject_of(record.sub))
        except ConsentEdgeError as error:
            yield WithdrawalAnswer(row.key, code=error.code, message=error.message)


def counts(plane):
    """Leaves on their way to the ledger, and work for other rooms."""
    with plane.database.read() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) for table in (ledger_outbox, queue)]


@pytest.fixture(scope="module")
def plane(template, tmp_path_factory):
    """One control plane for all: people are each example's own."""
    data = tmp_path_factory.mktemp("batches") / "data"
    shutil.copytree(template, data)
    plane = create_app(Settings(data=data, clock=ManualClock()))
    yield plane
    plane.close()


named = st.sets(st.sampled_from(CATEGORIES)).map(lambda chosen: tuple(c for c in CATEGORIES if c in chosen))
rows = st.builds(
    Said, st.integers(0, MALFORMED), named, st.sampled_from(SOME_NUMBERS), st.integers(0, 3), st.booleans()
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example([Said(1, (B,), 4, 0, False), Said(1, (C, B), 4, 0, False), Said(1, (), None, 0, True)])  # a copy names more
@example([Said(0, (B,), None, 0, False), Said(2, (C,), 300, 0, False), Said(0, (B,), None, 1, False)])
@example([Said(NOBODY, (B,), None, 0, True), Said(MALFORMED, (), None, 0, True), Said(2, (), 2, 0, False)])
@given(st.lists(rows, min_size=1, max_size=12))
def test_a_batch_is_its_rows_one_by_one(plane, said):
    """Any rows in any order: repeats, people in turn, strangers, what is no row."""
    keys = [secrets.token_urlsafe(16) for _ in range(4)]
    start = counts(plane)
    together = People(plane, keys)
    answers = plane.consents.withdraw_many([together.row(row) for row in said])
    entries, between = together.entries(), counts(plane)
    apart = People(plane, keys)
    singly = list(one_by_one(apart, [apart.row(row) for row in said]))

    assert together.answered(answers) == apart.answered(singly)
    assert entries == apart.entries()
    assert together.histories() == apart.histories()
    assert together.proofs() == apart.proofs()
    assert [b - a for a, b in zip(start, between, strict=True)] == [
        b - a for a, b in zip(between, counts(plane), strict=True)
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(rows, min_size=1, max_size=8), st.integers(0, 2))
def test_a_batch_that_came_before_changes_nothing(plane, said, split):
    """The same batch again, whole or from any row on: no entry, no version; each row is answered as it stands now."""
    people = People(plane, [secrets.token_urlsafe(16) for _ in range(4)])
    sent = [people.row(row) for row in said]
    first = people.answered(plane.consents.withdraw_many(sent))
    before = (people.histories(), plane.log.head())
    again = people.answered(plane.consents.withdraw_many(sent[min(split, len(sent) - 1) :]))

    assert (people.histories(), plane.log.head()) == before
    assert {answer[4] for answer in again} <= {answer[4] for answer in first}


def test_a_batch_reads_and_writes_in_a_few_statements(plane):
    """What 256 rows cost must not be 256 times what one costs: only the look-up of its click is a row's own."""
    seen = []
    event.listen(plane.database.engine, "before_cursor_execute", lambda *call: seen.append(call[2]))
    people = [People(plane, [secrets.token_urlsafe(16)]) for _ in range(20)]
    sent = [group.row(Said(0, (B,), None, 0, False)) for group in people]
    for batch in (sent[:1], sent[1:]):
        seen.clear()
        plane.consents.withdraw_many(batch)
        few = len([statement for statement in seen if "FROM changes" not in statement])
        assert few <= 25, few
