"""Decides again from decision receipts: the same component by its digest, the same input, a fresh sandbox each.

    for one in replay_all(given_in(Path("why.json").read_bytes()), Path("build/components"), trust):
        one.verdict                     # "equal" only if the component's answer has the receipt's very bytes

A receipt is verified first. What cannot be verified, or whose component is not there, is `refused` by its code.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from consent_core.decision.receipt import MAX_RECEIPT_CHARACTERS, DecisionReceipt, malformed, output_bytes
from consent_core.errors import ConsentEdgeError, Rejected, Untrusted
from consent_core.formats.attestation import place_of
from consent_core.formats.canonical import read_json_object
from consent_core.formats.manifest import MANIFEST_FILE
from consent_core.trust.decision_receipts import open_given
from consent_core.trust.trust_file import NO_LOG, TrustFile
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component, read_manifest
from runtime_host.wasm.sandbox import Limits, SandboxPool

EQUAL, DIFFERS, REFUSED = "equal", "differs", "refused"
MAX_LINE_BYTES = 2 * MAX_RECEIPT_CHARACTERS
PATIENT = Limits(deadline_s=10)  # answers are compared here, not times


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one receipt. code: why it was refused."""

    verdict: str
    code: str = ""
    slot: str = ""
    at: int = 0
    component: str = ""


def given_in(data: bytes) -> list[object]:
    """The receipts of a file: one a line, each as a slot's answer or as its `why`.

    Raises: Untrusted("json-malformed" | "decision-receipt-malformed").
    """
    lines = data.splitlines() if data.lstrip()[:1] == b"{" and _is_lines(data) else [data]
    return [_given(line) for line in lines if line.strip()]


def replay_all(
    given: Sequence[object], components: Path, trust: TrustFile, listed: Collection[str] | None = None
) -> list[Replayed]:
    """Every receipt's verdict, in order. listed: the places of the public list, where the reader has it."""
    deciding: dict[str, Personalizer] = {}
    try:
        return [_replay(one, components, trust, deciding, listed) for one in given]
    finally:
        for personalizer in deciding.values():
            personalizer.runner.close()


def _replay(
    given: object,
    components: Path,
    trust: TrustFile,
    deciding: dict[str, Personalizer],
    listed: Collection[str] | None,
) -> Replayed:
    try:
        receipt = open_given(given, trust, NO_LOG)
        _require_listed(receipt, listed)
    except ConsentEdgeError as error:
        return Replayed(REFUSED, error.code)
    about = (receipt.slot, receipt.at, receipt.component)
    try:
        if receipt.component not in deciding:
            deciding[receipt.component] = _load(receipt, components, trust)
        same = _decide(deciding[receipt.component], receipt) == output_bytes(receipt.output)
    except ConsentEdgeError as error:
        return Replayed(REFUSED, error.code, *about)
    return Replayed(EQUAL if same else DIFFERS, "", *about)


def _require_listed(receipt: DecisionReceipt, listed: Collection[str] | None) -> None:
    """A key that the operator endorses may still be that of a place that no list owns up to."""
    if listed is not None and place_of(receipt.iss) not in listed:
        raise Untrusted("attester-unlisted", "the place of the receipt is not on the public list")


def _decide(personalizer: Personalizer, receipt: DecisionReceipt) -> bytes:
    """The bytes that come out now; none where the component refuses, which no receipt of a decision has."""
    given = receipt.input
    try:
        return output_bytes(personalizer.decide(receipt.slot, given.signals, given.candidates, given.entropy))
    except Rejected:
        return b""


def _load(receipt: DecisionReceipt, components: Path, trust: TrustFile) -> Personalizer:
    for manifest in sorted(components.glob(f"*/{MANIFEST_FILE}")):
        if _is_of(manifest.parent, receipt, trust):
            return Personalizer(SandboxPool(load_component(manifest.parent, trust, receipt.at, NO_LOG), PATIENT))
    raise Untrusted("component-missing", f"no signed component {receipt.component} in {components.name}")


def _is_of(directory: Path, receipt: DecisionReceipt, trust: TrustFile) -> bool:
    try:
        return read_manifest(directory, trust, receipt.at, NO_LOG).component == receipt.component
    except Untrusted:  # another deployment's, or no component at all: not the one that is wanted
        return False


def _is_lines(data: bytes) -> bool:
    return all(line.lstrip()[:1] == b"{" for line in data.splitlines() if line.strip())


def _given(data: bytes) -> object:
    value = read_json_object(data.strip(), MAX_LINE_BYTES)
    given = value.get("why", value)
    if not isinstance(given, dict):
        raise malformed("this answer holds no decision receipt: nothing was decided")
    return given
