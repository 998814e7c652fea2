"""The witnesses of a fleet on one machine: for trying things out, since real ones belong to other people.

Their keys are made, and named in the trust file with a quorum of more than half, before the control plane starts.
"""

from collections.abc import Sequence
from pathlib import Path

from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile
from witness.keys import WitnessKey


def witness_names(n: int) -> tuple[str, ...]:
    """w1 to wn."""
    return tuple(f"w{i}" for i in range(1, n + 1))


def known_witnesses(data: Path) -> tuple[str, ...]:
    """Those of the trust file that live in this data directory: a ledger that they have seen goes on with them."""
    path = data / "trust.json"
    named = TrustFile.load(path).witnesses if path.exists() else ()
    return tuple(witness.name for witness in named if (home(data, witness.name) / "key.json").exists())


def trust_witnesses(data: Path, names: Sequence[str]) -> None:
    """Name them in the trust file; more than half must cosign."""
    trusted = tuple(WitnessKey.open(home(data, name), name, create=True).trusted for name in names)
    keys = KeyStore.open(data, create=True)
    if keys.trust_file().witnesses != trusted:
        keys.set_trust(witnesses=trusted, witness_quorum=len(trusted) // 2 + 1)


def home(data: Path, name: str) -> Path:
    """Where a witness of this machine keeps its key and its heads."""
    return data / "witnesses" / name
