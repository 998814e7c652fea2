"""Gives leaves their places: one beat after the other, each step of which may die.

    sequencer.recover()          # at the start: what a crash left undone is done
    sequencer.beat()             # stage, apply, witness, publish: the same steps

| step | then true | if it dies after it |
|---|---|---|
| stage | one transaction: places, root, signed head, `WHERE size and root are those I began from` | applied at start |
| apply | tiles of the committed size are on the disk, made from rows alone | made again, the same bytes |
| witness | those asked have committed this head; none of them signs another story | asked again |
| publish | the quorum is met: `checkpoint` is replaced by a larger one. Unmet: it stays | published again |

It appends nothing before n - q + 1 of n witnesses have said how far they are (q: the quorum), and nothing at all once
one is further than this ledger: then the ledger was set back, and only `edge ledger restore` opens it again.
"""

import logging
from dataclasses import dataclass, field

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Untrusted
from consent_core.formats.note import Checkpoint, sign_checkpoint
from consent_core.formats.tile import ENTRIES, WIDTH, TileHashes, tile_path, tiles, write_bundle
from consent_core.formats.tlog import EMPTY_ROOT, leaf_hash
from consent_core.trust.checkpoints import open_trusted
from consent_core.trust.keys import KeyStore, SigningKey
from control_plane.ledger.beats import Randomness, arranged, size_after
from control_plane.ledger.edge import Edge
from control_plane.ledger.store import Head, LedgerStore
from control_plane.ledger.tiles import TileDirectory
from control_plane.ledger.witnessing import Question, WitnessAnswer, Witnessing, ahead

ROLE = "ledger"
MOST = 10_000  # leaves of one beat; more wait for the next, which comes at once
SPAN = 256 * WIDTH  # leaves whose tiles are made in one go

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """What an operator may know of a sequencer. Times are Unix seconds; None: not yet.

    closed: why nothing is appended any more. unwitnessed_since: when the quorum was first not met. inclusion_s: how
    long the oldest leaf of the last published beat waited for its publication.
    """

    size: int = 0
    published: int = 0
    published_at: int | None = None
    unwitnessed_since: int | None = None
    inclusion_s: int | None = None
    closed: str | None = None
    answers: list[WitnessAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sequencer works with."""

    store: LedgerStore
    public: TileDirectory
    witnessing: Witnessing
    keys: KeyStore
    clock: Clock
    random: Randomness


class Sequencer:
    """One ledger's sequencer. `_edge`: the tree whose tiles are on the disk; `_cleared`: enough witnesses answered."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._edge = Edge()
        self._cleared = False
        self.progress = Progress()

    def recover(self) -> None:
        """Make every tile that is missing, and begin where the database is.

        Raises: Untrusted("ledger-damaged") if the rows do not have the root that was signed.
        """
        head, public = self._parts.store.head(), self._parts.public
        self._edge = self._edge_on_disk(head)
        self._apply(head)
        published = public.published()
        self.progress.size, self.progress.published = head.size, 0 if published is None else published.size
        if published is not None and published.size > head.size:
            self._close(f"the published checkpoint has {published.size} leaves, the database {head.size}")

    def beat(self) -> None:
        """One beat. Raises: Unavailable, Untrusted: nothing is lost, the next beat goes on."""
        head = self._parts.store.head()
        if head.size != self._edge.size:  # committed by another process, or by this one before it failed
            self._apply(head)
        if not self._cleared:
            self._clear(head)
        if self._cleared and self.progress.closed is None:
            head = self._stage(head)
            self._apply(head)
        if head.note and self.progress.closed is None:
            self._publish(head, self._witness(head))

    def _stage(self, before: Head) -> Head:
        """The next places, committed."""
        store, now = self._parts.store, self._parts.clock.now()
        leaves = arranged(store.waiting(MOST), size_after(store.day_before(now)), self._parts.random)
        edge, _ = self._edge.extended([leaf_hash(item.leaf) for item in leaves])
        root = edge.root()
        note = sign_checkpoint(Checkpoint(self._origin(), edge.size, root), self._signers(now))
        crash_point("ledger-signed")
        return store.place(before, leaves, root, note, now)

    def _apply(self, head: Head) -> None:
        """Tiles and bundles of what is committed and not on the disk, from rows alone."""
        while self._edge.size < head.size:
            low, high = self._edge.size, min(head.size, (self._edge.size // SPAN + 1) * SPAN)
            first = low // WIDTH * WIDTH
            leaves = self._parts.store.leaves(first, high)
            if len(leaves) != high - first:
                raise Untrusted("ledger-damaged", f"leaves of {first} to {high} are missing in the database")
            edge, made = self._edge.extended([leaf_hash(leaf) for leaf in leaves[low - first :]])
            files = {tile_path(level, n, len(part)): b"".join(part) for (level, n), part in made.items()}
            for at in range(0, len(leaves), WIDTH):
                bundle = leaves[at : at + WIDTH]
                files[tile_path(ENTRIES, (first + at) // WIDTH, len(bundle))] = write_bundle(bundle)
            self._parts.public.write(files)
            self._edge = edge
            self._forget_partials(low, high)
        if self._edge.root() != head.root:
            raise Untrusted("ledger-damaged", "the leaves in the database do not have the root that was signed")
        crash_point("ledger-applied")
        self.progress.size = head.size

    def _witness(self, head: Head) -> list[WitnessAnswer]:
        """Every witness asked about this head; closes the ledger if one is further."""
        question = Question(head.note, head.size, TileHashes(head.size, self._parts.public.read))
        answers = self._parts.witnessing.ask(question)
        self.progress.answers = answers
        further = ahead(answers, head.size)
        if further is not None:
            self._close(f"witness {further.name} has cosigned {further.size} leaves, the database has {head.size}")
        for answer in answers:
            if answer.problem == "ledger-forked":
                self._close(f"witness {answer.name} has cosigned another root of {head.size} leaves", "ledger-forked")
        crash_point("ledger-cosigned")
        return answers

    def _clear(self, head: Head) -> None:
        """Learn how far the witnesses are, before anything is appended."""
        answered = sum(answer.size is not None for answer in self._witness(self._asked(head)))
        trust = self._parts.keys.trust_file()
        needed = len(trust.witnesses) - trust.witness_quorum + 1 if trust.witness_quorum else 0
        self._cleared = answered >= needed
        if not self._cleared:
            self._mark_unwitnessed()

    def _asked(self, head: Head) -> Head:
        """What to ask about: the committed head, or for an empty ledger a checkpoint of nothing."""
        if head.note:
            return head
        note = sign_checkpoint(Checkpoint(self._origin(), 0, EMPTY_ROOT), self._signers(self._parts.clock.now()))
        return Head(0, EMPTY_ROOT, note, head.outbox)

    def _publish(self, head: Head, answers: list[WitnessAnswer]) -> None:
        """The cosigned note, if as many witnesses signed as the trust file asks for."""
        if self.progress.closed is not None:
            return
        now, note = self._parts.clock.now(), head.note + b"".join(answer.line or b"" for answer in answers)
        try:
            open_trusted(note, self._parts.keys.trust_file())
        except Untrusted as error:
            self._mark_unwitnessed()
            _LOG.warning("ledger: not published: %s", error)
            return
        self._parts.store.checkpoints.keep(head.size, note)
        before = self.progress.published
        self._parts.public.publish(note)
        crash_point("ledger-published")
        oldest = self._parts.store.oldest_at(before, head.size)
        self.progress.unwitnessed_since, self.progress.published, self.progress.published_at = None, head.size, now
        self.progress.inclusion_s = None if oldest is None else now - oldest

    def _mark_unwitnessed(self) -> None:
        self.progress.unwitnessed_since = self.progress.unwitnessed_since or self._parts.clock.now()

    def _edge_on_disk(self, head: Head) -> Edge:
        """How far the tiles reach that are there; from the beginning if those at the edge are not what was signed."""
        begin = head.size if self._all_there(head.size) else 0
        try:
            edge = Edge.read(begin, self._parts.public.read)
            return edge if begin == 0 or edge.root() == head.root else Edge()
        except Untrusted:
            return Edge()

    def _all_there(self, size: int) -> bool:
        public = self._parts.public
        return all(
            public.has(level, n, width) and (level > 0 or public.has(ENTRIES, n, width))
            for level, n, width in tiles(size)
        )

    def _forget_partials(self, low: int, high: int) -> None:
        """Partial files of tiles that were full before these leaves came."""
        for n in range(low // WIDTH - 1, high // WIDTH - 1):
            for level in (ENTRIES, 0):
                self._parts.public.forget_partials(level, n)

    def _close(self, why: str, code: str = "ledger-rewound") -> None:
        """Take nothing any more. What is published stays."""
        if self.progress.closed is None:
            _LOG.error("ledger: %s: %s", code, why)
            self._parts.store.findings.add(code, why, self._parts.clock.now())
        self.progress.closed = self.progress.closed or code

    def _origin(self) -> str:
        return self._parts.keys.trust_file().ledger_origin

    def _signers(self, now: int) -> list[SigningKey]:
        revoked = self._parts.keys.trust_file().revoked
        return [key for key in self._parts.keys.all(ROLE) if key.public.valid_at(now) and key.kid not in revoked]
