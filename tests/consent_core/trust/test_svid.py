"""X.509-SVIDs: what the development CA issues passes, and each rule refuses its own forgery."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consent_core.clock import ManualClock, SystemClock
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import (
    DevelopmentCa,
    Svid,
    check_certificate,
    key_usage,
    lifetime,
    new_key,
    public_der,
    read_public_key,
    serial_name,
)
from consent_core.trust.svid_source import DevelopmentSource, FileSource, open_source

from .conftest import POP, Forge, Forgery


@pytest.mark.parametrize("role", ["edge", "control-plane", "device", "operator"])
def test_an_issued_svid_meets_the_rules(ca: DevelopmentCa, role: str) -> None:
    """Every role's certificate names it and nothing else."""
    svid = ca.issue(SpiffeId.of("ui-tools", role, "x"), ttl_s=600)
    begin, end = lifetime(svid.leaf)

    assert (
        check_certificate(svid.leaf, "ui-tools", SystemClock().now())
        == svid.spiffe_id
        == SpiffeId.of("ui-tools", role, "x")
    )
    assert svid.leaf.extensions.get_extension_for_class(x509.KeyUsage).critical
    assert 600 <= end - begin <= 720
    svid.leaf.verify_directly_issued_by(ca.certificate)


def test_the_authority_names_the_domain_without_a_path(ca: DevelopmentCa) -> None:
    """X509-SVID section 3: a signing certificate names its trust domain."""
    names = ca.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://ui-tools"]


def test_the_authority_issues_for_its_own_domain_only(ca: DevelopmentCa) -> None:
    """A foreign id is not signed."""
    with pytest.raises(Rejected) as refusal:
        ca.issue(SpiffeId.of("elsewhere", "edge", "x"))

    assert refusal.value.code == "spiffe-foreign-domain"


FORGERIES = [
    (Forgery(uris=()), "certificate-uri"),
    (Forgery(uris=(str(POP), "spiffe://ui-tools/edge/other")), "certificate-uri"),
    (Forgery(uris=(str(POP), str(POP))), "certificate-uri"),
    (Forgery(uris=("https://ui-tools/edge/x",)), "spiffe-id"),
    (Forgery(uris=("spiffe://ui-tools/edge/../x",)), "spiffe-id"),
    (Forgery(uris=("spiffe://UI-TOOLS/edge/x",)), "spiffe-id"),
    (Forgery(uris=("spiffe://ui-tools",)), "spiffe-id"),
    (Forgery(uris=("spiffe://elsewhere/edge/x",)), "spiffe-foreign-domain"),
    (Forgery(uris=("spiffe://ui-tools/admin/x",)), "spiffe-role"),
    (Forgery(ca=True), "certificate-ca"),
    (Forgery(usage=key_usage(digital_signature=True, cert_sign=True)), "certificate-ca"),
    (Forgery(usage=None), "certificate-usage"),
    (Forgery(usage=key_usage()), "certificate-usage"),
    (Forgery(usage_critical=False), "certificate-usage"),
    (Forgery(starts_in_s=-7200, ends_in_s=-1), "certificate-expired"),
    (Forgery(starts_in_s=600), "certificate-not-yet-valid"),
]


@pytest.mark.parametrize(("forgery", "code"), FORGERIES, ids=lambda value: value if isinstance(value, str) else "")
def test_each_rule_refuses_its_forgery(forge: Forge, forgery: Forgery, code: str) -> None:
    """A leaf that breaks one rule is refused under that rule's code."""
    with pytest.raises(Rejected) as refusal:
        check_certificate(forge(forgery).leaf, "ui-tools", SystemClock().now())

    assert refusal.value.code == code


def test_a_leaf_without_basic_constraints_passes(forge: Forge) -> None:
    """Absent means `cA` is false (RFC 5280 section 4.2.1.9)."""
    assert check_certificate(forge(Forgery(ca=None)).leaf, "ui-tools", SystemClock().now()) == POP


@pytest.mark.parametrize("by", ["id", "serial"])
def test_a_revoked_identity_is_refused(ca: DevelopmentCa, by: str) -> None:
    """One certificate, or whoever bears the name."""
    leaf = ca.issue(POP).leaf
    revoked = frozenset({str(POP) if by == "id" else serial_name(leaf)})

    with pytest.raises(Rejected) as refusal:
        check_certificate(leaf, "ui-tools", SystemClock().now(), revoked)

    assert refusal.value.code == "certificate-revoked"


def test_an_svid_survives_the_disk(ca: DevelopmentCa, tmp_path: Path) -> None:
    """Write and read give the same; the key is the owner's alone."""
    svid = ca.issue(POP)
    svid.write(tmp_path / "svid")

    assert Svid.read(tmp_path / "svid") == svid
    assert stat.S_IMODE((tmp_path / "svid" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data" / "ca" / "key.pem").stat().st_mode) == 0o600


def test_a_key_of_another_certificate_is_refused(ca: DevelopmentCa, tmp_path: Path) -> None:
    """Half a rotation is not an identity."""
    ca.issue(POP).write(tmp_path / "svid")
    (tmp_path / "svid" / "key.pem").write_bytes(ca.issue(POP).key_pem)

    with pytest.raises(Untrusted) as refusal:
        Svid.read(tmp_path / "svid")

    assert refusal.value.code == "svid-malformed"


def test_without_files_there_is_no_identity(tmp_path: Path) -> None:
    """An unissued SVID and an absent CA are unavailable."""
    (tmp_path / "svid").mkdir()

    with pytest.raises(Unavailable, match="no SVID"):
        Svid.read(tmp_path / "svid")
    with pytest.raises(Unavailable, match="no development CA"):
        DevelopmentCa.open(tmp_path, "ui-tools")


def test_rotation_happens_at_half_the_lifetime(tmp_path: Path) -> None:
    """Before it the SVID stays; after it there is a new key; the files follow."""
    clock = ManualClock()
    ca = DevelopmentCa.open(tmp_path, "ui-tools", create=True, clock=clock)
    source = DevelopmentSource(ca, POP, tmp_path / "svid", 3600, clock)
    first = source.current()
    clock.advance(1_600)
    source.refresh()
    assert source.current() is first
    clock.advance(250)
    source.refresh()

    assert source.current().key_pem != first.key_pem
    assert Svid.read(tmp_path / "svid") == source.current()


def test_files_are_the_source_where_there_is_no_authority(ca: DevelopmentCa, tmp_path: Path) -> None:
    """A POP on another machine has an SVID somebody renews for it; a damaged one leaves the last good in force."""
    directory = tmp_path / "pop" / "svid" / "edge-tokyo-1"
    ca.issue(POP).write(directory)
    source = open_source(tmp_path / "pop", POP)
    assert isinstance(source, FileSource)
    renewed = ca.issue(POP)
    renewed.write(directory)
    source.refresh()
    assert source.current() == renewed
    (directory / "cert.pem").write_bytes(b"half")

    with pytest.raises(Untrusted):
        source.refresh()
    assert source.current() == renewed


def test_a_key_for_an_svid_is_of_p256_alone() -> None:
    """What a joining POP sends is a P-256 key, or no certificate is made for it."""
    key = new_key()
    assert read_public_key(public_der(key)).public_numbers() == key.public_key().public_numbers()

    for other in (Ed25519PrivateKey.generate(), generate_private_key(SECP384R1())):
        der = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(Rejected) as refusal:
            read_public_key(der)
        assert refusal.value.code == "enrolment-key"
    with pytest.raises(Rejected) as refusal:
        read_public_key(b"no key")
    assert refusal.value.code == "enrolment-key"
