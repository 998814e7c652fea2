"""Checks 0, 8, 9 and 17: whose file this is, which words were shown, what was withdrawn, who approved the rules."""

import hashlib
from collections.abc import Iterator

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import LogEntry, PolicyFact
from consent_core.evidence.ledger import PROMPT_S
from consent_core.evidence.opening import At, Case, Held
from consent_core.evidence.outcome import Outcome, attempt, outcome
from consent_core.evidence.places import chain_of, first_applied, listed_places
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.receipt import Receipt
from consent_core.formats.revocation import EVERY_VERSION
from consent_core.policy.approval import APPROVAL, Approval, open_approval
from consent_core.policy.signature import lines_digest
from consent_core.trust.trust_file import NO_LOG


def subject(case: Case) -> Outcome:
    """Check 0."""
    found = [*_foreign(case), *_own(case)]
    reason = None if case.own else "no-receipt"
    return outcome(found, reason, version=case.own.ver if case.own else 0)


def _foreign(case: Case) -> Iterator[Untrusted]:
    wanted = case.signed.pack.subject
    for held in case.persons:
        named = {held.record.body.get("subject"), _subject_of(held.value, wanted)}
        if named != {wanted}:
            yield Untrusted("subject-foreign", "a document in the file is about somebody else")


def _subject_of(value: object, otherwise: str) -> str:
    if isinstance(value, Receipt):
        return value.pii_principal_id
    return str(getattr(value, "subject", otherwise))


def _own(case: Case) -> Iterator[Untrusted]:
    own = case.own
    if own is None:
        if case.circumstances.receipt is not None:
            yield Untrusted("receipt-omitted", "the reader's receipt is not genuine by this trust file")
    elif own.pii_principal_id != case.signed.pack.subject:
        yield Untrusted("subject-foreign", "the file is about somebody else than the holder of the receipt")
    elif case.circumstances.receipt not in {held.text for held in case.receipts}:
        yield Untrusted("receipt-omitted", f"the file does not hold the reader's receipt, version {own.ver}")


def receipts(case: Case) -> Outcome:
    """Check 8: genuine, no version left out, and the words by their digest."""
    found = [*case.problems_of("receipt-", "json-"), *_versions(case), *_texts(case)]
    shown = _in_order(case)
    days = [held.at for held in shown]
    reason = None if shown else "no-receipt"
    first, last = min(days, default=0), max(days, default=0)
    return outcome(found, reason, count=len(shown), first=first, last=last, words=_worded(case))


def _worded(case: Case) -> str:
    """Whether each choice names the words that were shown: one made through an interface of one's own has none."""
    silent = [held.value.ver for held in case.receipts if "clause_sha256" not in held.value.privacy_notice]
    if not silent:
        return "The words shown for each are in this file."
    if len(silent) == len(case.receipts):
        return "No version names the words that were shown."
    return (
        f"No words are named for version {', '.join(map(str, sorted(silent)))}; those of the others are in this file."
    )


def _in_order(case: Case) -> list[Held[Receipt]]:
    return sorted(case.receipts, key=lambda held: held.value.ver)


def _versions(case: Case) -> Iterator[Untrusted]:
    before = 0
    for held in _in_order(case):
        follows = held.value.ver - 1 if held.value.follows is None else held.value.follows
        if follows != before or held.value.ver <= before:
            yield Untrusted("receipt-gap", f"version {held.value.ver} follows {follows}, the file has {before}")
        before = held.value.ver
    if len({held.value.record_id for held in case.receipts}) > 1:
        yield Untrusted("receipt-gap", "receipts of more than one record")


def _texts(case: Case) -> Iterator[Untrusted]:
    texts = case.signed.pack.texts
    for digest, text in texts.items():
        if sha256_digest(text.encode()) != digest:
            yield Untrusted("clause-digest", "a text in the file is not the one that its digest names")
    for held in case.receipts:
        shown = held.value.privacy_notice.get("clause_sha256")  # absent where nothing was shown
        if shown is not None and (not isinstance(shown, str) or shown not in texts):
            yield Untrusted("clause-digest", f"the words of version {held.value.ver} are not in the file")


def withdrawal(case: Case) -> Outcome:
    """Check 9: each entry is bound to a version that the receipts show, and each withdrawal has its entry."""
    found = [*_entries_follow(case), *_numbers_follow(case), *_withdrawals_have_entries(case)]
    seqs = [held.value.seq for held in sorted(case.entries, key=lambda held: held.value.kind, reverse=True)]
    return outcome(found, None if seqs else "no-entry", seq=max(seqs[:1], default=0), count=len(seqs))


def _entries_follow(case: Case) -> Iterator[Untrusted]:
    versions = {held.value.ver for held in case.receipts}
    for held in case.entries:
        entry = held.value
        bound = versions if entry.kind == "session" else {EVERY_VERSION}
        if entry.ver not in bound:
            yield Untrusted("revocation-chain", f"entry {entry.seq} is bound to a version that no receipt shows")
    if len({held.value.seq for held in case.entries}) != len(case.entries):
        yield Untrusted("revocation-chain", "two entries of one number")


def _numbers_follow(case: Case) -> Iterator[Untrusted]:
    """An entry is above every number that a place had applied before the entry's date."""
    for entry in (held.value for held in case.entries):
        for place in sorted(listed_places(case)):
            if _passed_before(case, place, entry):
                yield Untrusted("revocation-chain", f"{place} had applied entry {entry.seq} before its date")


def _passed_before(case: Case, place: str, entry: LogEntry) -> bool:
    first = first_applied(chain_of(case, place), entry)
    return first is not None and first.until < entry.at - PROMPT_S


def _withdrawals_have_entries(case: Case) -> Iterator[Untrusted]:
    bound = {held.value.ver: set(held.value.categories) for held in case.entries if held.value.kind == "session"}
    before: set[str] = set()
    for held in _in_order(case):
        effective = {purpose.purpose for purpose in held.value.purposes if purpose.effective}
        if _withdrawn(held.value) and not before - effective <= bound.get(held.value.ver, set()):
            yield Untrusted("revocation-chain", f"version {held.value.ver} takes back what no entry does")
        before = effective


def _withdrawn(receipt: Receipt) -> bool:
    return any(event.get("event_state") == "withdrawn" for event in receipt.events)


def approvals(case: Case) -> Outcome:
    """Check 17: each policy that a receipt or an attestation names, its signed approval, and the words approved."""
    wanted = {held.value.policy_hash for held in case.receipts}
    wanted |= {held.value.policy.hash for held in case.attestations if held.value.policy}
    approved = {held.value.hash: held for held in case.policies}
    found = [*case.problems_of("approval-", "bundle-")]
    names = []
    for policy_hash in sorted(wanted):
        approval, errors = _approval(case, approved.get(policy_hash), policy_hash)
        found += errors
        names += [approval.approver] if approval else []
    models = any(held.value.releases for held in case.attestations)
    reason = "models" if models else None if wanted else "no-policy"
    return outcome(found, reason, approvers=", ".join(sorted(set(names))), count=len(wanted))


def _approval(
    case: Case, held: Held[PolicyFact] | None, policy_hash: str
) -> tuple[Approval | None, tuple[Untrusted, ...]]:
    if held is None:
        return None, (Untrusted("approval-missing", f"nothing shows who approved policy {policy_hash}"),)
    errors = tuple(attempt(_require_approved, case, held))
    return (None, errors) if errors else (_opened(case, held), ())


def _opened(case: Case, held: Held[PolicyFact]) -> Approval:
    return open_approval(held.value.approval.encode(), At(case.trust, held.witnessed), NO_LOG)


def _require_approved(case: Case, held: Held[PolicyFact]) -> None:
    """Raises: Untrusted("approval-digest" | "clause-digest" | "bundle-…")."""
    approval, policy = _opened(case, held), held.value
    others = {path: digest for path, digest in policy.files.items() if path != APPROVAL}
    if lines_digest(policy.files) != policy.hash:
        raise Untrusted("approval-digest", "the files do not make the policy's hash")
    if policy.files.get(APPROVAL) != hashlib.sha256(policy.approval.encode()).hexdigest():
        raise Untrusted("approval-digest", "the approval is not the one in the policy")
    if approval.subject_digest != lines_digest(others):
        raise Untrusted("approval-digest", "the approval is for another policy")
    if approval.clause_sha256 not in case.signed.pack.texts:
        raise Untrusted("clause-digest", "the words of an approval are not in the file")
