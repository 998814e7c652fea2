"""The log as a chain: any course of entries, pruning, pages and restarts; and nothing at any door confirms a guess."""

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from consent_core.formats.revocation import GENESIS, Entry, Point, entry_hash, head_of, subject_of
from consent_core.formats.token import CATEGORIES
from control_plane.app import create_app
from control_plane.log import standing
from control_plane.log.log import ROWS_GONE_S
from control_plane.log.standing import Held
from control_plane.settings import Settings
from control_plane.store.schema import log_pruned
from runtime_host.pop.stores.followed_log import Position
from runtime_host.pop.sync.judge import Judge
from tests.control_plane.conftest import Caller, poll
from tests.control_plane.restoring import Visitor, World


@dataclass
class Reader:
    """A POP's place in the log, judged by the POP's own judge."""

    at: Position = field(default_factory=lambda: Position(None, 0, 0, 0))


class Chain(RuleBasedStateMachine):
    """One log, three readers, and the hash of every entry as it was when it was made."""

    template: Path

    @initialize()
    def start(self) -> None:
        from consent_core.clock import ManualClock

        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        shutil.copytree(self.template, self.directory / "data")
        self.settings = Settings(data=self.directory / "data", clock=ManualClock())
        self.plane = create_app(self.settings)
        self.readers = [Reader() for _ in range(3)]
        self.hashes = [GENESIS, *(entry_hash(entry) for entry in poll(self.plane).entries)]

    def teardown(self) -> None:
        self.plane.close()
        shutil.rmtree(self.directory)

    @rule(kinds=st.lists(st.sampled_from(["session", "key", "model"]), min_size=1, max_size=5))
    def append(self, kinds: list[str]) -> None:
        with self.plane.log.writing() as writing:
            for kind in kinds:
                person = kind == "session"
                subject = f"{len(self.hashes):064x}" if person else f"{kind}-{len(self.hashes)}"
                entry = writing.append(kind, subject, CATEGORIES if person else (), 2 * person, 1 * person)
                self.hashes.append(entry_hash(entry))

    @rule(seconds=st.sampled_from([1, ROWS_GONE_S // 2, ROWS_GONE_S + 1]))
    def prune(self, seconds: int) -> None:
        self.settings.clock.advance(seconds)  # type: ignore[attr-defined]
        self.plane.log.prune()

    @rule()
    def restart(self) -> None:
        self.plane.close()
        self.plane = create_app(self.settings)

    @rule(which=st.integers(0, 2), limit=st.integers(1, 7))
    def read(self, which: int, limit: int) -> None:
        """One page, believed only if the POP's judge believes it."""
        reader, known = self.readers[which], self.readers[which].at
        held = Held(known.origin, known.chain, known.shown)
        reply = self.plane.log.reply(known.position, "n", limit, held)
        judge = Judge(self.plane.keys.trust_file, frozenset)
        if reply.is_snapshot:
            found = judge.snapshot(reply.body, "n", known, 0)
            place = Point(found.through, found.through_chain)
        else:
            answer = judge.answer(reply.body, "n", known, 0)
            found, place = answer, head_of(answer.entries, Point(known.position, known.chain))
        reader.at = Position(found.origin, place.number, found.head, 0, place.chain, found.head, None)  # type: ignore[arg-type]
        reader.at = replace(reader.at, head_chain=found.chain)

    @invariant()
    def every_number_has_the_hash_it_was_made_with(self) -> None:
        """Pruned or not, after any restart; so a reader's place is known for good."""
        if not hasattr(self, "plane"):
            return
        with self.plane.database.read() as connection:
            for number, chain in enumerate(self.hashes):
                assert standing.place(connection, number) == Point(number, chain)
        for reader in self.readers:
            assert self.hashes[reader.at.position] == reader.at.chain


def test_any_course_keeps_one_chain(template: Path) -> None:
    """Entries, pruning, pages of any size and restarts in any order: every reader ends at the hash that was made."""

    class Machine(Chain):
        pass

    Machine.template = template
    run_state_machine_as_test(
        Machine, settings=hypothesis_settings(max_examples=12, stateful_step_count=25, deadline=None)
    )


def test_pruning_leaves_number_and_hash_and_no_salt(either_plane) -> None:
    """What is left of an entry says nothing of whom it was about, and confirms no guess."""
    plane = either_plane
    with plane.log.writing() as writing:
        entry = writing.append("session", subject_of("A" * 22), CATEGORIES, 2, 1)
    plane.settings.clock.advance(ROWS_GONE_S + 1)
    plane.log.prune()
    with plane.database.read() as connection:
        rows = connection.execute(select(log_pruned)).all()

    assert [tuple(row) for row in rows] == [(entry.seq, entry_hash(entry))]
    assert entry.salt not in str(rows)


def test_nothing_at_a_door_confirms_a_guess_of_another_persons_entry(settings: Settings, tmp_path: Path) -> None:
    """Her entry stands between two of one's own, and every field of it is guessed right.

    Without the salt the guess is one in a second: the hash of the guessed entry is the `prev` of the next. Neither
    hash nor salt leaves through anything that an outsider, or a visitor with their own session, can ask.
    """
    world = World(settings, tmp_path / "pops", lambda: settings)
    mine, hers = Visitor(world), Visitor(world)
    mine.yes(*CATEGORIES)
    hers.yes(*CATEGORIES)
    mine.no("contextual")
    hers.no("behavioral")
    answer = mine.no("experimental")
    entries = poll(world.plane).entries
    (before, target, after) = (entry for entry in entries if entry.kind == "session")
    guess = Entry(target.seq, entry_hash(before), "", *_fields(target))
    assert replace(guess, salt=target.salt) == target
    secrets = {target.salt, before.salt, entry_hash(target), after.prev, entry_hash(after)}

    public = Caller(world.plane.public_app)
    said = [public("GET", path).text for path in ("/v1/edge-state", "/healthz", "/ledger/checkpoint", "/openapi.json")]
    said += [str(answer), str(mine.refresh()), str(world.plane.consents.look(None, mine.session or ""))]
    said += [str(world.plane.consents.grant(mine.request("contextual", number=99)))]
    for edge in world.edges.values():
        edge.poll()
        said += [str(edge.sync.status()), str(edge.sync.trust_state.denied(mine.subject, 1))]
    world.close()

    assert not [word for word in secrets for text in said if word in text]
    assert entry_hash(guess) != after.prev


def _fields(entry: Entry) -> tuple[object, ...]:
    return (entry.kind, entry.subject, entry.categories, entry.ver, entry.said, entry.at, entry.effect)
