"""A policy is in force only with the approval of a named person, under the words that they saw."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.policy.approval import APPROVAL, Approval, sign_approval
from consent_core.policy.archive import pack, unpack
from consent_core.policy.bundle import open_bundle, subject_digest
from consent_core.policy.signature import SIGNATURES, sign_compact, sign_files
from consent_core.trust.keys import KeyStore
from tests.keys_in_time import NOTHING, START

from .conftest import NOW
from .refusing import refused


def approved_by(files, signer, **changes):
    """The bundle with another approval, signed."""
    clause = json.loads(files["data.json"])["consent_edge"]["clauses"]["policy-approval"]
    honest = {
        "clause_id": "policy-approval",
        "clause_sha256": "sha256:" + hashlib.sha256(clause.encode()).hexdigest(),
        "approver": "ann",
        "subject_digest": subject_digest(files),
        "at": NOW,
    }
    text = sign_compact("policy-approval+jwt", {**honest, **changes}, signer)
    contents = {**files, APPROVAL: text.encode()}
    return pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)})


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_digest": "sha256:" + "0" * 64},
        {"clause_sha256": "sha256:" + "0" * 64},
        {"clause_id": "nobody-wrote-this"},
        {"approver": ""},
        {"at": "yesterday"},
        {"at": True},
        {"note": "and one more thing"},
    ],
)
def test_an_approval_for_something_else_is_refused(files, trust, signer, changes):
    """The approver answers for this policy, under these words."""
    assert (
        open_bundle(approved_by(files, signer), trust, min_revision=0, now=0, revoked=frozenset()).approval.approver
        == "ann"
    )
    assert refused(approved_by(files, signer, **changes), trust) == "bundle-approval"


def test_a_bundle_nobody_approved_is_refused(files, trust, signer):
    """Signed, but nobody answers for it."""
    contents = {path: data for path, data in files.items() if path not in {APPROVAL, SIGNATURES}}

    assert refused(pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)}), trust) == "bundle-approval"


def test_an_approval_by_another_key_is_refused(files, trust, signer, store, tmp_path):
    """The approval is signed too, not only carried."""
    foreign = KeyStore.open(tmp_path, create=True).current("bundle")
    approval = Approval("policy-approval", "x", "ann", subject_digest(files), NOW)
    contents = {**files, APPROVAL: sign_approval(approval, foreign)}

    assert refused(pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)}), trust) == "bundle-key"
    contents[APPROVAL] = base64.b64encode(b"\xff" * 20) + b"\xff"
    assert refused(pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)}), trust) == "bundle-approval"


def test_an_approval_by_a_revoked_key_approves_nothing(tmp_path, build):
    """A good signature around it does not mend it."""
    store = KeyStore.open(tmp_path, create=True, clock=ManualClock(START))
    approver = store.current("bundle")
    files = unpack(build(key=approver))
    signer = store.rotate("bundle", 0)
    data = pack({**files, SIGNATURES: sign_files(files, signer, START)})
    revoked = frozenset({approver.kid})

    with pytest.raises(Untrusted, match="revoked"):
        open_bundle(data, store.trust_file(), START, revoked, min_revision=0)


def test_an_approval_is_judged_by_its_own_time(tmp_path, build):
    """Signing again what was approved long ago needs no new approval; one from outside its key's time is none."""
    store = KeyStore.open(tmp_path, create=True, clock=ManualClock(START))
    files = unpack(build(key=store.current("bundle")))
    for end, good in ((START + 1, True), (START, False)):
        trust = store.trust_file()
        keys = tuple(replace(key, not_after=end) if key.role == "bundle" else key for key in trust.trusted_keys)
        signer = KeyStore.open(tmp_path / f"{good}", create=True, clock=ManualClock(START))
        both = (*keys, *(key for key in signer.trust_file().trusted_keys if key.role == "bundle"))
        data = pack({**files, SIGNATURES: sign_files(files, signer.current("bundle"), START)})
        if good:
            assert open_bundle(data, trust.with_keys(both), START + 9, NOTHING, min_revision=0).revision == 7
        else:
            with pytest.raises(Untrusted, match="not valid at that time"):
                open_bundle(data, trust.with_keys(both), START + 9, NOTHING, min_revision=0)
