"""Any order of revocations, polls, replays, rewinds, partitions, restarts and restored backups, against ten lines."""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consent_core.errors import ConsentEdgeError
from consent_core.formats.revocation import EVERY_VERSION, subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores import PopStore, Withdrawal
from tests.runtime_host.sync.toy_plane import make_world

SUBJECTS = [subject_of(letter * 21 + "A") for letter in "ABC"]
VERSIONS = range(1, 8)
subjects = st.sampled_from(SUBJECTS)
some = st.sets(st.sampled_from(CATEGORIES), min_size=1).map(lambda s: tuple(c for c in CATEGORIES if c in s))


class Model:
    """What a POP must know: a prefix of the log, and what was said to it. `sent`: when it last heard good news.

    `position`: where it reads on; `enforced`: how far it ever was; `alarm`: whether it believes the log no more.
    """

    def __init__(self) -> None:
        self.position, self.enforced, self.said, self.sent, self.alarm = 0, 0, [], None, False

    def denied(self, log: list, subject: str, ver: int) -> set[str]:
        taken = [(e.subject, e.categories, EVERY_VERSION if e.kind == "purge" else e.ver) for e in log[: self.enforced]]
        return {c for who, what, below in taken + self.said for c in what if who == subject and ver < below}

    def in_sync(self, elapsed: float) -> bool:
        return self.sent is not None and elapsed - self.sent < 60


class LogMachine(RuleBasedStateMachine):
    """One POP, the real stores and follower, the real bytes."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.world = make_world(self.directory)
        self.model = Model()
        self.backup: tuple | None = None
        self.said = 0

    def teardown(self) -> None:
        self.world.store.close()
        shutil.rmtree(self.directory)

    @rule(subject=subjects, categories=some, ver=st.sampled_from(VERSIONS))
    def revoke(self, subject: str, categories: tuple[str, ...], ver: int) -> None:
        self.world.plane.revoke(subject, categories, ver)

    @rule(subject=subjects)
    def purge(self, subject: str) -> None:
        self.world.plane.log("purge", subject, CATEGORIES, EVERY_VERSION)

    @rule(subject=subjects, categories=some, below=st.sampled_from(VERSIONS))
    def withdraw(self, subject: str, categories: tuple[str, ...], below: int) -> None:
        self.said += 1
        self.world.sync.outgoing.withdraw(Withdrawal(f"key-{self.said:020}", "0" * 43, subject, below, categories))
        self.model.said = [*self.model.said, (subject, categories, below)]

    @rule()
    def poll(self) -> None:
        if self.model.alarm:
            self._poll_in_vain()
            return
        asyncio.run(self.world.sync.poll())
        self.model.position = self.model.enforced = len(self.world.plane.entries)
        self.model.sent = self.world.clock.boot

    @rule()
    def poll_across_a_cut(self) -> None:
        self.world.network.cut = True
        self._poll_in_vain()
        self.world.network.cut = False

    @rule()
    def poll_and_lose_the_answer(self) -> None:
        self.world.network.lose_answers = True
        self._poll_in_vain()
        self.world.network.lose_answers = False

    @precondition(lambda self: self.world.network.answers)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        self.world.network.replay["/v1/revocations"] = data.draw(st.sampled_from(self.world.network.answers))
        self._poll_in_vain()
        self.world.network.replay.clear()

    @precondition(lambda self: self.model.position > 0)
    @rule(data=st.data())
    def rewind_the_log_and_repair_it(self, data: st.DataObject) -> None:
        entries = self.world.plane.entries
        self.world.plane.entries = entries[: data.draw(st.integers(0, self.model.position - 1))]
        self._poll_in_vain()
        self.world.plane.entries = entries
        self.model.sent, self.model.alarm = None, True

    @precondition(lambda self: self.model.position > 0)
    @rule(data=st.data())
    def fork_the_log_and_repair_it(self, data: st.DataObject) -> None:
        """Another history of the same length or more: the number is the same, the hash is not."""
        plane, entries = self.world.plane, list(self.world.plane.entries)
        plane.entries = entries[: data.draw(st.integers(0, self.model.position - 1))]
        more = data.draw(st.integers(0, 3))
        while len(plane.entries) < self.model.position + more:
            plane.log("model", f"model-of-another-history-{len(plane.entries)}")
        self._poll_in_vain()
        plane.entries = entries
        self.model.sent, self.model.alarm = None, True

    @precondition(lambda self: self.model.alarm)
    @rule()
    def accept(self) -> None:
        """An operator's word: read from the start; what was denied stays denied."""
        self.world.store.log.accept_origin()
        self.model.position, self.model.alarm = 0, False

    @rule(seconds=st.integers(0, 70))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(seconds=st.integers(-100_000, 100_000))
    def set_the_wall_clock(self, seconds: int) -> None:
        self.world.clock.wall += seconds

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.model.sent = None

    @rule()
    def back_up(self) -> None:
        path = self.directory / "backup.db"
        path.unlink(missing_ok=True)
        self.world.store.database.rows(f"VACUUM INTO '{path}'")
        self.backup = (path, self.model.position, self.model.enforced, self.model.said, self.model.alarm)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore(self) -> None:
        self.world.store.close()
        for path in self.world.home.glob("pop.db*"):
            path.unlink()
        path, self.model.position, self.model.enforced, self.model.said, self.model.alarm = self.backup
        shutil.copy(path, self.world.home / "pop.db")
        self.world.store = PopStore(self.world.home / "pop.db", self.world.clock)
        self.restart()

    @invariant()
    def the_pop_knows_what_the_model_knows(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.world.store.log.position.position == self.model.position
        assert self.world.sync.trust_state.in_sync() == self.model.in_sync(self.world.clock.boot)
        for subject in SUBJECTS:
            for ver in (0, 2, 5, 9):
                expected = self.model.denied(self.world.plane.entries, subject, ver)
                assert self.world.sync.trust_state.denied(subject, ver) == expected

    def _poll_in_vain(self) -> None:
        with contextlib.suppress(ConsentEdgeError):
            asyncio.run(self.world.sync.poll())
            raise AssertionError("the poll should have been refused")


LogMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestLogMachine = LogMachine.TestCase
