"""Asks every witness for its cosignature, all at once, and learns how far each has come.

    answers = witnessing.ask(note, size, tree)        # one WitnessAnswer per witness, none raises
    ahead(answers, size)                              # a witness that has seen more than we have

A witness's word counts only by the key that the trust file has for its name.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from consent_core.errors import ConsentEdgeError
from consent_core.formats.add_checkpoint import PATH, AddCheckpoint, read_size, write_add_checkpoint
from consent_core.formats.note import open_checkpoint, read_lines
from consent_core.formats.tlog import Subtrees, consistency_path
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import TrustFile

TIMEOUT_S = 5.0  # for one witness; the others are asked meanwhile
OK, CONFLICT = 200, 409

# post(url, body) -> (status, body); raises httpx.HTTPError
Post = Callable[[str, bytes], tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """Where a witness of the trust file listens."""

    name: str
    url: str


def read_address(text: str) -> WitnessAddress:
    """`name=http://host:port`. Raises: ValueError."""
    name, separator, url = text.partition("=")
    if not name or not separator or not url.startswith(("http://", "https://")):
        raise ValueError("witnesses: expected name=http://host:port")
    return WitnessAddress(name, url)


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What one witness said. `size`: how far it has come, None if it did not answer; `line`: its cosignature.

    `problem`: a code, None where it cosigned.
    """

    name: str
    size: int | None = None
    line: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A checkpoint to be cosigned, and the tree that proofs are made from."""

    note: bytes
    size: int
    tree: Subtrees


class Witnessing:
    """The witnesses of one ledger. `_known`: how far each said that it had come; owned by the one that asks."""

    def __init__(self, addresses: Sequence[WitnessAddress], trust: Callable[[], TrustFile], post: Post | None = None):
        self.addresses = tuple(addresses)
        self._trust = trust
        self._post = post or _post
        self._known: dict[str, int] = {}

    def ask(self, question: Question) -> list[WitnessAnswer]:
        """One answer per witness, in the order of the addresses."""
        if not self.addresses:
            return []
        with ThreadPoolExecutor(len(self.addresses)) as pool:
            return list(pool.map(lambda address: self._ask(address, question), self.addresses))

    def _ask(self, address: WitnessAddress, question: Question) -> WitnessAnswer:
        try:
            answer = self._ask_once(address, question, self._known.get(address.name, 0))
            if answer.problem == "witness-behind" and answer.size is not None and answer.size <= question.size:
                answer = self._ask_once(address, question, answer.size)
        except (httpx.HTTPError, OSError):
            return WitnessAnswer(address.name, problem="witness-unreachable")
        except ConsentEdgeError as error:
            return WitnessAnswer(address.name, problem=error.code)
        if answer.size is not None:
            self._known[address.name] = answer.size
        return answer

    def _ask_once(self, address: WitnessAddress, question: Question, known: int) -> WitnessAnswer:
        old = min(known, question.size)
        proof = consistency_path(old, question.size, question.tree) if 0 < old < question.size else []
        body = write_add_checkpoint(AddCheckpoint(old, tuple(proof), question.note))
        status, answered = self._post(address.url.rstrip("/") + PATH, body)
        if status == CONFLICT:
            size = read_size(answered)
            return WitnessAnswer(address.name, size, problem="ledger-forked" if size == old else "witness-behind")
        if status != OK:
            return WitnessAnswer(address.name, problem="witness-refused")
        return WitnessAnswer(address.name, question.size, self._checked(address.name, question.note, answered))

    def _checked(self, name: str, note: bytes, answered: bytes) -> bytes:
        """The witness's own line, if its key signed it; what else it answered is left. Raises: Untrusted."""
        trust = self._trust()
        known = [witness for witness in trust.witnesses if witness.name == name]
        read_lines(answered)
        mine = f"\u2014 {name} ".encode()
        line = b"".join(part for part in answered.splitlines(keepends=True) if part.startswith(mine))
        open_checkpoint(note + line, trust.ledger_origin, trust.keys("ledger"), known, 1, verify_signature)
        return line


def ahead(answers: Sequence[WitnessAnswer], size: int) -> WitnessAnswer | None:
    """A witness that has cosigned more leaves than this ledger has: this ledger was set back."""
    return next((answer for answer in answers if answer.size is not None and answer.size > size), None)


def _post(url: str, body: bytes) -> tuple[int, bytes]:
    response = httpx.post(url, content=body, timeout=TIMEOUT_S)
    return response.status_code, response.content
