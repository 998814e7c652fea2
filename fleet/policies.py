"""Policies that differ from the one in force in a few rows, signed as its next revision.

The rows are edited, not evaluated: evaluating takes seconds and is `consent_core.policy`'s business, tested there.
"""

import json
from collections.abc import Collection
from typing import Any

from consent_core.formats.canonical import canonical_json
from consent_core.formats.dsse import Signer
from consent_core.formats.token import CATEGORIES
from consent_core.policy.approval import APPROVAL
from consent_core.policy.bundle import MANIFEST, Approver, Bundle, build_bundle
from consent_core.policy.publish import APPROVAL_CLAUSE
from consent_core.policy.rego import DATA_FILE
from consent_core.policy.signature import SIGNATURES
from consent_core.policy.table import UNKNOWN

APPROVER = "simulator/operator"
_MADE = frozenset({MANIFEST, APPROVAL, SIGNATURES})


def next_bundle(
    in_force: Bundle, original: Bundle, switched_off: Collection[tuple[str, str]], signer: Signer, at: int
) -> bytes:
    """`original` with (jurisdiction, category) pairs off, signed to follow `in_force`.

    What is off in a place is off where the law is unknown too: that is never allowed more.
    """
    files = {path: content for path, content in original.files.items() if path not in _MADE}
    data = json.loads(files[DATA_FILE])
    for jurisdiction, category in switched_off:
        _switch_off(data["consent_edge"]["table"], jurisdiction, category)
    files[DATA_FILE] = canonical_json(data)
    approver = Approver(APPROVER, APPROVAL_CLAUSE, at)
    return build_bundle(files, in_force.revision + 1, signer, approver, (in_force.hash, *in_force.previous))


def _switch_off(table: dict[str, Any], jurisdiction: str, category: str) -> None:
    bit = CATEGORIES.index(category)
    never = next(number for number, rule in enumerate(table["rules"]) if not rule["effective"])
    for place, row in table["rows"].items():
        if place.split("/")[0] in (jurisdiction, UNKNOWN):
            for answer in (*row["choices"], row["notice"]):
                answer[0] &= ~(1 << bit)
                answer[1 + bit] = never
