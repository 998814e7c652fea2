"""A bundle is believed only whole, signed by a bundle key, and never older than what is in force."""

import hashlib
import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.token import encode_base64url
from consent_core.policy.approval import APPROVAL, Approval, sign_approval
from consent_core.policy.archive import pack, unpack
from consent_core.policy.bundle import open_bundle, policy_hash, subject_digest
from consent_core.policy.signature import SIGNATURES, file_digests, sign_compact, sign_files
from consent_core.trust.keys import KeyStore
from tests.keys_in_time import SITUATIONS, Rotated, refusals

from .conftest import NOW
from .refusing import refused


def resigned(files, signer, **changes):
    """A bundle of changed files, honestly approved and signed again."""
    contents = {path: data for path, data in {**files, **changes}.items() if data is not None}
    contents.pop(SIGNATURES, None)
    if changes.get(APPROVAL, b"") == b"" and APPROVAL in contents:
        contents.pop(APPROVAL)
        clause = json.loads(files["data.json"])["consent_edge"]["clauses"]["policy-approval"]
        digest = "sha256:" + hashlib.sha256(clause.encode()).hexdigest()
        approval = Approval("policy-approval", digest, "ann", subject_digest(contents), NOW)
        contents[APPROVAL] = sign_approval(approval, signer)
    return pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)})


def test_what_was_published_opens(published, trust):
    """A published bundle carries table, clauses, approval and its forerunners."""
    bundle = open_bundle(
        published.data, trust, min_revision=7, current_hash=published.bundle.hash, now=0, revoked=frozenset()
    )

    assert bundle.revision == 7
    assert bundle.previous == ("sha256:" + "a" * 64,)
    assert bundle.approval.approver == "spiffe://ui-tools/operator/ann"
    assert bundle.approval.at == NOW
    assert bundle.clauses["gpc"].title == "Global Privacy Control"
    assert bundle.settings["trust_domain"] == "ui-tools"


def test_the_same_policy_is_the_same_bytes(files):
    """Packing depends on the files alone, not on order or time."""
    assert pack(files) == pack(dict(reversed(files.items())))
    assert unpack(pack(files)) == files


def test_the_policy_hash_is_computable_with_coreutils(published, tmp_path):
    """`sha256sum` over the sorted lines names the policy, the signatures apart."""
    lines = sorted(
        f"{hashlib.sha256(data).hexdigest()}  {path}\n"
        for path, data in published.bundle.files.items()
        if path != ".signatures.json"
    )
    by_path = "".join(sorted(lines, key=lambda line: line[66:]))

    assert published.bundle.hash == "sha256:" + hashlib.sha256(by_path.encode()).hexdigest()
    assert policy_hash(published.bundle.files) == published.bundle.hash


def test_the_signature_is_opas(published, signer):
    """PyJWT reads the signature, and every listed hash is OPA's: JSON files by their canonical structure."""
    text = json.loads(published.bundle.files[SIGNATURES])["signatures"][0]
    public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), signer.public_key)
    payload = jwt.decode(text, public, algorithms=["ES256"], options={"verify_iat": False})

    assert jwt.get_unverified_header(text) == {"alg": "ES256", "kid": signer.kid, "typ": "JWT"}
    for entry in payload["files"]:
        content = published.bundle.files[entry["name"]]
        if entry["name"] in {"data.json", ".manifest"}:
            content = json.dumps(
                json.loads(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ).encode()
        assert entry["hash"] == hashlib.sha256(content).hexdigest()


def test_unsigned_is_refused(files, trust):
    """No signature file, an empty list, or one that is no list: all are unsigned."""
    bare = {path: data for path, data in files.items() if path != SIGNATURES}

    assert refused(pack(bare), trust) == "bundle-unsigned"
    assert refused(pack({**bare, SIGNATURES: b'{"signatures":[]}'}), trust) == "bundle-unsigned"
    assert refused(pack({**bare, SIGNATURES: b"{}"}), trust) == "bundle-unsigned"


def test_a_signature_without_a_key_id_is_refused(files, trust, signer):
    """OPA's bypass: a signing set-up without a key id must not mean no signature."""
    header = encode_base64url(canonical_json({"alg": "ES256"}))
    body = encode_base64url(canonical_json({"files": []}))
    text = f"{header}.{body}.{encode_base64url(signer.sign(f'{header}.{body}'.encode()))}"

    assert refused(with_signature(files, text), trust) == "bundle-key"


def with_signature(files, *texts):
    return pack({**files, SIGNATURES: canonical_json({"signatures": list(texts)})})


def test_a_foreign_key_is_refused(build, trust, tmp_path):
    """A bundle signed by somebody else's bundle key."""
    foreign = KeyStore.open(tmp_path, create=True).current("bundle")

    assert refused(build(key=foreign), trust) == "bundle-key"


def test_a_foreign_key_under_our_name_is_refused(build, trust, signer, tmp_path):
    """A foreign key that borrows our key id."""
    foreign = KeyStore.open(tmp_path, create=True).current("bundle")

    class Borrowed:
        kid = signer.kid
        sign = staticmethod(foreign.sign)

    assert refused(build(key=Borrowed), trust) == "bundle-signature"


def test_a_key_of_another_role_is_refused(build, trust, store):
    """The log key signs answers, not policies."""
    assert refused(build(key=store.current("log")), trust) == "bundle-key"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA", "ES384", "es256", None])
def test_another_algorithm_is_refused(files, trust, signer, algorithm):
    """Only ES256, whatever the header says."""
    header = encode_base64url(canonical_json({"alg": algorithm, "kid": signer.kid}))

    assert refused(with_signature(files, f"{header}.e30.AAAA"), trust) == "bundle-algorithm"


def test_a_trust_file_whose_bundle_key_is_ed25519_is_refused(build, trust, store, signer):
    """A key id that the trust file lists under another algorithm."""
    keys = tuple(replace(key, algorithm="ed25519") if key.kid == signer.kid else key for key in trust.trusted_keys)

    assert refused(build(), trust.with_keys(keys)) == "bundle-algorithm"


def test_two_signatures_are_refused(files, trust):
    """OPA reads one; a second could only disagree."""
    text = json.loads(files[SIGNATURES])["signatures"][0]

    assert refused(with_signature(files, text, text), trust) == "bundle-signature"


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c.d", "!.e30.AAAA", "e30=.e30.AAAA", "bnVsbA.e30.AAAA", "W10.e30.AAAA", "x" * 2_000_000, 7]
)
def test_a_damaged_signature_is_refused(files, trust, text):
    """Whatever is not a compact JWS."""
    assert refused(with_signature(files, text), trust) in {"bundle-signature", "bundle-algorithm"}


def test_an_unknown_header_field_is_refused(files, trust, signer):
    """`crit` and friends change what a signature means, even one that verifies."""
    header = encode_base64url(canonical_json({"alg": "ES256", "kid": signer.kid, "crit": ["x"]}))
    message = f"{header}.{json.loads(files[SIGNATURES])['signatures'][0].split('.')[1]}"
    signature = encode_base64url(signer.sign(message.encode()))

    assert refused(with_signature(files, f"{message}.{signature}"), trust) == "bundle-signature"


def listing(files, signer, change):
    """The bundle under a listing of its files that was changed before it was signed."""
    entries = [{"algorithm": "SHA-256", "hash": digest, "name": path} for path, digest in file_digests(files).items()]
    return with_signature(files, sign_compact("JWT", {"files": change(entries)}, signer))


def test_a_listing_out_of_form_is_refused(files, trust, signer):
    """A file listed twice, under another hash function, without a name, or no list at all."""
    assert (
        open_bundle(
            listing(files, signer, lambda entries: entries), trust, min_revision=0, now=0, revoked=frozenset()
        ).revision
        == 7
    )
    assert refused(listing(files, signer, lambda entries: entries + entries[:1]), trust) == "bundle-signature"
    for field, value in (("algorithm", "SHA-512"), ("name", 7), ("hash", None)):
        odd = listing(files, signer, lambda entries, change={field: value}: [{**entries[0], **change}, *entries[1:]])

        assert refused(odd, trust) == "bundle-signature"
    assert refused(listing(files, signer, lambda _: {}), trust) == "bundle-digest"


def test_a_new_bundle_by_a_key_out_of_force_is_refused(tmp_path, build):
    """After a rotation the old key opens what was kept, and signs nothing new."""
    clock = ManualClock(NOW)
    store = KeyStore.open(tmp_path, create=True, clock=clock)
    data = build(key=store.current("bundle"))
    store.rotate("bundle", overlap_s=60)

    assert open_bundle(data, store.trust_file(), min_revision=0, now=NOW + 59, revoked=frozenset()).revision == 7
    assert open_bundle(data, store.trust_file(), min_revision=0, now=0, revoked=frozenset()).revision == 7
    with pytest.raises(Untrusted) as refusal:
        open_bundle(data, store.trust_file(), min_revision=0, now=NOW + 61, revoked=frozenset())
    assert refusal.value.code == "bundle-signature"


def test_an_approval_is_no_bundle_signature(files, trust, signer):
    """A JWS made for one purpose cannot stand for another."""
    text = sign_compact("policy-approval+jwt", {"files": []}, signer)

    assert refused(with_signature(files, text), trust) == "bundle-signature"


def test_added_removed_and_changed_files_are_refused(files, trust):
    """The signature covers exactly the files that are there."""
    without = {path: data for path, data in files.items() if path != "consent_edge/brand/brand.rego"}
    changed = {**files, "data.json": files["data.json"].replace(b"ui-tools", b"evil-com")}

    assert (
        refused(pack({**files, "consent_edge/extra/x.rego": b"package consent_edge.extra"}), trust) == "bundle-digest"
    )
    assert refused(pack(without), trust) == "bundle-digest"
    assert refused(pack(changed), trust) == "bundle-digest"


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_refused(shipped, trust, data):
    """No byte inside any file can change without being noticed."""
    files = dict(shipped().bundle.files)
    path = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[path])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))

    assert refused(pack({**files, path: bytes(content)}), trust).startswith("bundle-")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damage_on_the_way_never_changes_the_policy(shipped, trust, data):
    """A damaged download is refused with our own error, or is the very same policy."""
    packed = bytearray(shipped().data)
    if data.draw(st.booleans()):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        packed = packed[: data.draw(st.integers(0, len(packed) - 1))]
    try:
        outcome = open_bundle(bytes(packed), trust, min_revision=7, now=0, revoked=frozenset()).hash
    except Untrusted as refusal:
        outcome = refusal.code

    assert outcome == shipped().bundle.hash or outcome.startswith("bundle-")


def test_a_revision_never_goes_back(build, trust):
    """Yesterday's policy, honestly signed, is still yesterday's."""
    assert open_bundle(build(revision=7), trust, min_revision=7, now=0, revoked=frozenset()).revision == 7
    assert refused(build(revision=6), trust, min_revision=7) == "bundle-revision"


def test_one_revision_is_never_two_policies(build, published, trust):
    """The same number with other content, as after a restored backup."""
    assert refused(build(revision=7), trust, min_revision=7, current_hash=published.bundle.hash) == "bundle-revision"


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        b"[]",
        b"{",
        b'{"revision":"7","revision":"8"}',
        b'{"revision":7}',
        b'{"revision":"07"}',
        b'{"revision":"-1"}',
        b'{"revision":"7","metadata":{}}',
        b'{"revision":"7","metadata":{"previous":["sha1:00"]}}',
        b'{"revision":"7","metadata":{"previous":[]},"rego_version":0,"roots":["consent_edge","personalization"]}',
    ],
)
def test_a_damaged_manifest_is_refused(files, trust, signer, manifest):
    """Signed nonsense is nonsense."""
    assert refused(resigned(files, signer, **{".manifest": manifest}), trust) == "bundle-manifest"


@pytest.mark.parametrize("roots", [[], [""], ["consent_edge"], ["consent_edge", "personalization", "system"]])
def test_other_roots_are_refused(files, trust, signer, roots):
    """A bundle governs two roots, no more and no fewer."""
    manifest = {**json.loads(files[".manifest"]), "roots": roots}

    assert refused(resigned(files, signer, **{".manifest": canonical_json(manifest)}), trust) == "bundle-roots"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("system/authz/authz.rego", b"package system.authz"),
        ("consent_edge/brand/more.rego", b"package system.authz"),
        ("consent_edge/brand/more.rego", b"# package consent_edge.brand\npackage system.authz"),
        ("consent_edge/brand/more.rego", b"package consent_edge.consent"),
        ("consent_edge/brand/more.rego", b"x := 1\npackage consent_edge.brand"),
        ("consent_edge/brand/more.rego", b""),
        ("top.rego", b"package top"),
    ],
)
def test_a_module_outside_the_roots_is_refused(files, trust, signer, path, source):
    """A module lives in the folder that its package names, below the roots."""
    assert refused(resigned(files, signer, **{path: source}), trust) == "bundle-roots"


def test_data_outside_the_roots_is_refused(files, trust, signer):
    """Data cannot reach into packages the bundle does not govern."""
    data = {**json.loads(files["data.json"]), "system": {}}

    assert refused(resigned(files, signer, **{"data.json": canonical_json(data)}), trust) == "bundle-roots"


def change_data(files, change):
    data = json.loads(files["data.json"])
    change(data["consent_edge"])
    return {"data.json": canonical_json(data)}


def widen(row):
    """Say that nothing chosen makes everything effective."""
    row[0] = row[7]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("table"),
        lambda c: c.update(table=[]),
        lambda c: c["table"].pop("rows"),
        lambda c: c["table"]["rows"].pop("ZZ/gpc/adult"),
        lambda c: c["table"]["laws"].pop("ZZ"),
        lambda c: c["table"]["rules"].pop(),
        lambda c: c["table"].update(categories=["contextual"]),
        lambda c: c["table"]["rows"]["EU/-/adult"]["choices"].pop(),
        lambda c: widen(c["table"]["rows"]["EU/-/adult"]["choices"]),
        lambda c: c["table"]["rows"]["EU/-/adult"]["choices"].__setitem__(0, [0, -1, -1, -1]),
        lambda c: c["table"]["rows"]["EU/-/adult"].update(notice=[7, 0, 0, 0]),
        lambda c: c.update(settings=[]),
    ],
)
def test_a_table_that_is_damaged_or_incomplete_is_refused(files, trust, signer, change):
    """Even when it is signed."""
    assert refused(resigned(files, signer, **change_data(files, change)), trust) == "bundle-table"


def test_a_table_where_the_signal_widens_is_refused(files, trust, signer):
    """Global Privacy Control takes away; it never gives."""

    def widen_by_signal(content):
        rows = content["table"]["rows"]
        rows["SG/-/13-15"] = rows["SG/-/under-13"]

    data = resigned(files, signer, **change_data(files, widen_by_signal))
    with pytest.raises(Untrusted, match="the signal widens") as refusal:
        open_bundle(data, trust, min_revision=0, now=0, revoked=frozenset())
    assert refusal.value.code == "bundle-table"


def test_a_table_where_the_unknown_place_exceeds_a_known_one_is_refused(files, trust, signer):
    """`ZZ` is the strictest."""

    def loosen(content):
        rows = content["table"]["rows"]
        rows["ZZ/-/13-15"] = rows["ZZ/-/adult"]

    assert refused(resigned(files, signer, **change_data(files, loosen)), trust) == "bundle-table"


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("clauses"),
        lambda c: c["clauses"].pop("gpc"),
        lambda c: c["clauses"].update(gpc=7),
        lambda c: c["clauses"].update(gpc="no heading"),
        lambda c: c["clauses"].update({"../gpc": "# A\n\nb"}),
    ],
)
def test_missing_words_are_refused(files, trust, signer, change):
    """What a rule shows people must be there to be shown."""
    data = change_data(files, change)
    changed = {**files, **data}
    approved = sign_approval(Approval("x", "y", "ann", subject_digest(changed), NOW), signer)
    contents = {**changed, APPROVAL: approved}

    assert refused(pack({**contents, SIGNATURES: sign_files(contents, signer, NOW)}), trust) == "bundle-clause"


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_bundle_by_a_key_outside_its_time_opens_nowhere(tmp_path, build, situation):
    """Rotated out, revoked or not yet valid: refused whole, before anything in it is read."""
    rotated = Rotated.of(tmp_path, "bundle")
    data = build(key=rotated.key)
    code, trust, now, revoked = refusals(rotated)[situation]

    assert open_bundle(data, *rotated.good, min_revision=0).revision == 7
    with pytest.raises(Untrusted) as refusal:
        open_bundle(data, trust, now, revoked, min_revision=0)
    assert (refusal.value.code, refusal.value.__cause__.code) == ("bundle-signature", code)
