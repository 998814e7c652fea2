"""Checks 2 to 7: who signed, who witnessed, that the ledger only grew, that each document was in it, and when."""

from collections.abc import Iterator
from itertools import pairwise

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import FACT_KINDS
from consent_core.evidence.opening import At, Case, Held, require_unrevoked
from consent_core.evidence.outcome import Outcome, attempt, outcome
from consent_core.evidence.pack import ROLE, Log, Record
from consent_core.formats.attestation import Attestation
from consent_core.formats.canonical import canonical_json
from consent_core.formats.leaf import PERSON, public_commitment, read_leaf, verify_commitment
from consent_core.formats.note import OpenedCheckpoint
from consent_core.formats.seen import NONE, Seen
from consent_core.formats.tlog import leaf_hash, verify_consistency, verify_inclusion
from consent_core.trust.trust_file import NO_LOG

PROMPT_S = 120  # W after the signed time, at most: the time is shown
LATE_S = 86_400  # W after the signed time, at most: the time is not shown; beyond it, it is refuted


def signature(case: Case) -> Outcome:
    """Check 2. The pack's own key must not be revoked by now: no witness says when the pack was signed."""
    signed, at = case.signed, case.circumstances.at
    made_at = signed.pack.made_at
    then = At(case.trust, None)
    found = [*attempt(then.verify, ROLE, signed.kid, signed.message, signed.signature, made_at, NO_LOG)]
    if made_at > at + PROMPT_S:
        found.append(Untrusted("evidence-signature", "the file says that it was made later than now"))
    return outcome([Untrusted("evidence-signature", error.message) for error in found], made_at=made_at)


def keys(case: Case) -> Outcome:
    """Check 3: what did not open because of its key, and the ledger's own keys at the time of each checkpoint."""
    return outcome((*case.problems_of("trust-"), *_ledger_keys(case)))


def _ledger_keys(case: Case) -> Iterator[Untrusted]:
    valid = {key.kid: key for key in case.trust.trusted_keys if key.role == "ledger"}
    for opened in _opened(case):
        at = opened.witness_time
        if at is not None and not any(valid[kid].valid_at(at) for kid in opened.kids):
            yield Untrusted("trust-key-expired", "a checkpoint by a ledger key that was not valid then")
        for kid in opened.kids:
            yield from attempt(require_unrevoked, case.trust, kid, at)


def checkpoints(case: Case) -> Outcome:
    """Check 4."""
    trust = case.trust
    times = [opened.witness_time for opened in _opened(case) if opened.witness_time is not None]
    found = [*case.problems_of("note-", "witness-quorum")]
    if not found and not any(log.checkpoints for log in case.logs):
        found = [Untrusted("note-malformed", "the file holds no checkpoint")]
    found += [Untrusted("note-malformed", "a log of another name") for log in _foreign(case)]
    half = 2 * trust.witness_quorum <= len(trust.witnesses)
    reason = "no-witness" if trust.witness_quorum == 0 else "half" if half else None
    last = max(times, default=0)
    return outcome(found, reason, quorum=trust.witness_quorum, witnesses=len(trust.witnesses), last=last)


def consistency(case: Case) -> Outcome:
    """Check 5: checkpoints in order of size, each shown to grow out of the one before, and every `seen` among them."""
    return outcome((*_one_log(case), *_growth(case), *_every_seen(case)), count=len(_opened(case)))


def _foreign(case: Case) -> list[Log]:
    return [log for log in case.signed.pack.logs if log.origin != case.trust.ledger_origin]


def _one_log(case: Case) -> Iterator[Untrusted]:
    """Two lists of checkpoints of one ledger are not held against each other: so there is one."""
    names = [log.origin for log in case.signed.pack.logs]
    if len(set(names)) < len(names):
        yield Untrusted("ledger-forked", "one ledger is shown twice")


def _growth(case: Case) -> Iterator[Untrusted]:
    for log, shown in zip(case.signed.pack.logs, case.logs, strict=True):
        for proof, (one, other) in zip(log.consistency, pairwise(shown.checkpoints), strict=True):
            if one is not None and other is not None:
                yield from _grew(one, other, proof)


def _grew(one: OpenedCheckpoint, other: OpenedCheckpoint, proof: tuple[bytes, ...]) -> Iterator[Untrusted]:
    old, new = one.checkpoint, other.checkpoint
    if old.size == new.size:
        what = "two roots of one size" if old.root != new.root else "the same checkpoint twice"
        yield Untrusted("ledger-forked", f"{what}: {old.size}")
    elif old.size > new.size:
        yield Untrusted("ledger-forked", "checkpoints are not in order of their size")
    else:
        yield from attempt(verify_consistency, old.size, old.root, new.size, new.root, proof)


def _every_seen(case: Case) -> Iterator[Untrusted]:
    known = {opened.checkpoint.size: opened.checkpoint.root for opened in _opened(case)}
    for seen in dict.fromkeys(held.seen for held in case.timed if held.seen not in (None, NONE)):
        root = known.get(seen.size) if seen else None
        if root is None:
            yield Untrusted("seen-missing", "a checkpoint that a document was made after is not in the file")
        elif seen and root != seen.root:
            yield Untrusted("ledger-forked", f"a document saw another ledger of size {seen.size}")


def inclusion(case: Case) -> Outcome:
    """Check 6: each body opens its leaf, and the leaf lies at its index."""
    records = case.signed.pack.records
    found = [error for record in records for error in _included(case, record)]
    return outcome((*found, *_named_by_leaf(case)), count=len(records))


def _included(case: Case, record: Record) -> Iterator[Untrusted]:
    opened = case.logs[record.log].checkpoints[record.checkpoint]
    if opened is None:
        yield Untrusted("proof", "the record's checkpoint is not trusted")
        return
    tree = opened.checkpoint
    yield from attempt(verify_inclusion, record.index, tree.size, leaf_hash(record.leaf), record.proof, tree.root)
    yield from attempt(_opens, record)


def _opens(record: Record) -> None:
    leaf, body = read_leaf(record.leaf), canonical_json(record.body)
    if leaf.kind == "attesters":
        if record.salt or public_commitment(body) != leaf.commitment:
            raise Untrusted("commitment", "this list does not open its leaf")
    else:
        verify_commitment(leaf.commitment, body, record.salt)
    kind = str(record.body.get("kind"))
    if leaf.kind != (kind if kind in FACT_KINDS else PERSON):
        raise Untrusted("commitment", "the leaf says that it is something else")
    if leaf.kind == "attesters" and leaf.n != record.body.get("n"):
        raise Untrusted("commitment", "the leaf names another list")


def _named_by_leaf(case: Case) -> Iterator[Untrusted]:
    """Attestations whose public leaf names another place, life or number."""
    for held in case.attestations:
        yield from attempt(_require_named, held)


def _require_named(held: Held[Attestation]) -> None:
    leaf, said = read_leaf(held.record.leaf), held.value
    if (leaf.by, leaf.life, leaf.n) != (said.place, said.life, said.n):
        raise Untrusted("commitment", "the leaf names another attestation")


def window(case: Case) -> Outcome:
    """Check 7: between the witness time of what each document had seen, and that of the checkpoint that holds it."""
    found = [error for held in case.timed for error in _misdated(case, held)]
    unknown = [held for held in case.timed if held.witnessed is None]
    slow = [held for held in case.timed if held.witnessed is not None and held.witnessed - held.at > PROMPT_S]
    reason = "no-witness" if unknown or not case.timed else "slow" if slow else None
    times = [held.witnessed for held in case.timed if held.witnessed is not None]
    return outcome(found, reason, first=min(times, default=0), last=max(times, default=0), slow=len(slow))


def _misdated(case: Case, held: Held[object]) -> Iterator[Untrusted]:
    after, by = witness_time_of(case, held.seen), held.witnessed
    if by is None:
        return
    if held.at > by + PROMPT_S:
        yield Untrusted("early-entry", f"dated {held.at - by} s after witnesses had seen it")
    if after is not None and after > held.at + PROMPT_S:
        yield Untrusted("late-entry", f"dated {after - held.at} s before the checkpoint that it was made after")
    elif by - held.at > LATE_S and held in (*case.receipts, *case.entries, *case.requests):
        yield Untrusted("late-entry", f"in the ledger {by - held.at} s after its date")


def witness_time_of(case: Case, seen: Seen | None) -> int | None:
    """When witnesses had seen the checkpoint that a document names."""
    for opened in _opened(case):
        if seen is not None and (opened.checkpoint.size, opened.checkpoint.root) == (seen.size, seen.root):
            return opened.witness_time
    return None


def _opened(case: Case) -> list[OpenedCheckpoint]:
    return [opened for log in case.logs for opened in log.checkpoints if opened is not None]
