"""Which facts belong to a question about one person: from before the first thing said, to the last thing stated.

    chosen = choose(connection, story)
    chosen.facts, chosen.places

Lists and endorsements are all there: they are few, and a gap in their numbers would be a finding. Of each place's
chain the part is taken that begins before the no and reaches to the newest statement.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent_core.evidence.bodies import LogEntry
from consent_core.formats.attestation import Attestation, place_of
from control_plane.attesters import facts
from control_plane.attesters.endorsing import read_attestation
from control_plane.attesters.facts import PUBLIC, Fact

BEFORE_S = 86_400  # a place's last report from before the no is looked for so far back, then everywhere


@dataclass(frozen=True, slots=True)
class Story:
    """What the person's own proofs say. begun: Unix time of the first receipt. statements: payloads of all of them."""

    begun: int
    entries: tuple[LogEntry, ...]
    statements: tuple[Mapping[str, Any], ...]

    @property
    def no(self) -> LogEntry | None:
        """The newest withdrawal, or else the purge."""
        ordered = sorted(self.entries, key=lambda entry: (entry.kind == "session", entry.seq))
        return ordered[-1] if ordered else None

    def lacks(self, kind: str, places: set[str]) -> bool:
        """Whether a place has not stated this of the entry that it is about."""
        wanted = {"search": "session", "deletion": "purge"}[kind]
        seq = max((entry.seq for entry in self.entries if entry.kind == wanted), default=None)
        stated = (one for one in self.statements if (one["kind"], one["seq"]) == (kind, seq))
        said = {place_of(one["iss"]) for one in stated}
        return seq is None or bool(places - said)

    def last_named(self, place: str) -> tuple[int, int]:
        """The newest attestation of a place that a statement names: (life, n)."""
        named = [one["after"] for one in self.statements if place_of(one["iss"]) == place and one["after"]]
        return max(((after["life"], after["n"]) for after in named), default=(0, 0))


def choose(connection: Connection, story: Story) -> list[Fact]:
    """Lists, endorsements and the chains' parts, in the order in which they were put."""
    lists = _lists(connection, story.begun)
    places = {place for fact in lists for place in json.loads(fact.body)["places"]}
    chains = [fact for place in sorted(places) for fact in _chain(connection, place, story)]
    return [*lists, *facts.all_of(connection, "endorsement"), *chains]


def _lists(connection: Connection, begun: int) -> list[Fact]:
    """The list that was in force when the first receipt was given, and all later ones."""
    lists = list(facts.all_of(connection, PUBLIC))
    before = [fact for fact in lists if json.loads(fact.body)["at"] < begun]
    return lists[max(len(before) - 1, 0) :]


def _chain(connection: Connection, place: str, story: Story) -> Sequence[Fact]:
    no = story.no
    if no is None:
        return ()
    chain = facts.chain(connection, place, since=no.at - BEFORE_S)
    read = [(fact, read_attestation(fact)) for fact in chain]
    if not any(attestation.until <= no.at for _, attestation in read):
        read = [(fact, read_attestation(fact)) for fact in facts.chain(connection, place)]
    return _around(read, no, story.last_named(place))


def _around(chain: Iterable[tuple[Fact, Attestation]], no: LogEntry, named: tuple[int, int]) -> list[Fact]:
    """From the last report before the no to the first that applies it, and on to the newest that a statement names."""
    taken: list[Fact] = []
    applied = False
    for fact, attestation in chain:
        if attestation.until <= no.at:
            taken = []
        if not applied or (attestation.life, attestation.n) <= named:
            taken.append(fact)
        applied = applied or attestation.log.position >= no.seq
    return taken
