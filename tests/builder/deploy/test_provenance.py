"""The provenance says what the manifest says, steps included."""

import base64
import json
from dataclasses import replace

from builder.deploy.provenance import Provenance, sign_provenance
from consent_core.trust.keys import KeyStore
from tests.consent_core.test_manifest import DIGEST, MANIFEST


def test_the_steps_that_finished_a_component_are_signed(tmp_path) -> None:
    """Whoever verifies the provenance sees what was done to componentize-py's component."""
    key = KeyStore.open(tmp_path, create=True).current("component")
    named = Provenance(DIGEST, "1.0.0")
    envelope = json.loads(sign_provenance(replace(MANIFEST, steps=("link", "image")), named, key))
    definition = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["buildDefinition"]

    assert definition["internalParameters"] == {
        "limits": {"memory_mib": 64, "deadline_ms": 250},
        "steps": ["link", "image"],
    }
