"""A key that was rotated out, revoked, or is not yet valid opens nothing, whatever its role and whatever it signed."""

import pytest

from builder.deploy.provenance import Provenance, open_provenance, sign_provenance
from consent_core.errors import Untrusted
from consent_core.formats.dsse import open_statement, sign_statement
from consent_core.formats.manifest import ComponentManifest, Limits, open_manifest, sign_manifest
from consent_core.policy.signature import open_compact, sign_compact
from consent_core.trust.trust_file import ROLES
from tests.keys_in_time import SITUATIONS, Rotated, refusals

DIGEST = "sha256:" + "0" * 64
MANIFEST = ComponentManifest(
    name="personalization", world="edge-personalization", component=DIGEST, compiled="sha256:" + "1" * 64, engine="e",
    imports=(), exports=(), category=(), limits=Limits(64, 250), sources={}, lock="", tools={},
)  # fmt: skip


def by_role(role):
    """Openers of (signed bytes, trust, now, revoked), with the signing of the bytes, for one role."""
    yield (
        "statement",
        lambda key: sign_statement("text/plain", b"x", key),
        lambda data, *by: open_statement(data, "text/plain", by[0], role, *by[1:]),
    )
    if role == "component":
        yield (
            "manifest",
            lambda key: sign_manifest(MANIFEST, key),
            lambda data, *by: open_manifest(MANIFEST.to_bytes(), data, *by),
        )
        yield (
            "provenance",
            lambda key: sign_provenance(MANIFEST, Provenance(DIGEST, "1.0.0"), key),
            lambda data, *by: open_provenance(data, MANIFEST, *by),
        )
    if role == "bundle":
        yield "jws", lambda key: sign_compact("JWT", {}, key), lambda data, *by: open_compact(data, "JWT", *by)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_key_outside_its_time_opens_nothing(tmp_path, role, situation):
    """What opens while the key is in force is refused before, after, and once the key is revoked."""
    rotated = Rotated.of(tmp_path, role)
    code, *standing = refusals(rotated)[situation]
    for name, sign, open_by in by_role(role):
        signed = sign(rotated.key)
        open_by(signed, *rotated.good)
        with pytest.raises(Untrusted) as refusal:
            open_by(signed, *standing)

        cause = refusal.value.__cause__ or refusal.value
        assert isinstance(cause, Untrusted)
        assert (name, cause.code) == (name, code)


def test_a_revocation_in_the_trust_file_counts_from_its_time(tmp_path):
    """What was signed before, and is judged at that time, stays as good as it was."""
    rotated = Rotated.of(tmp_path, "log")
    _, trust, now, revoked = refusals(rotated)["revoked in the trust file"]
    signature = rotated.key.sign(b"m")

    trust.verify("log", rotated.key.kid, b"m", signature, now - 1, revoked)
    with pytest.raises(Untrusted, match="revoked"):
        trust.verify("log", rotated.key.kid, b"m", signature, now, revoked)
