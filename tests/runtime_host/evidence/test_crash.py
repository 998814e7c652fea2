"""A POP that attests is killed at each named point and started again: no gap, nothing twice, nothing left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from consent_core.formats.attestation import open_attestation
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.jws import read_jws
from runtime_host.pop.evidence.key import AttesterKey
from tests.runtime_host.evidence.victim import opened

ROOT = Path(__file__).parents[3]
SOURCES = [
    path.read_text() for room in ("stores", "evidence") for path in (ROOT / "runtime_host/pop" / room).glob("*.py")
]
NAMES = {name for source in SOURCES for name in re.findall(r'crash_point\("(.+?)"\)', source)}
POINTS = sorted(name for name in NAMES if name.startswith("attest") and name != "statement-kept")


def run(directory, crash=""):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONSENT_EDGE_CRASH": crash}
    victim = [sys.executable, "-m", "tests.runtime_host.evidence.victim", str(directory)]
    return subprocess.run(victim, env=environment, check=False).returncode


@pytest.mark.parametrize("point", POINTS)
def test_crash(tmp_path, point):
    """The chain that arrives has every number once, and the deletion is stated once."""
    AttesterKey.open(tmp_path)
    assert run(tmp_path, point) == -9
    assert run(tmp_path) == 0
    store, _, plane = opened(tmp_path)
    texts = plane.taken()
    chain = [text for text in texts if kind_of(text) == "eat+jwt"]
    numbers = [open_attestation(text, lambda *_: None) for text in chain]

    assert [one.n for one in numbers] == list(range(1, len(chain) + 1))
    assert [one.prev for one in numbers[1:]] == [sha256_digest(text.encode()) for text in chain[:-1]]
    assert len(texts) - len(chain) == 1
    assert store.attested.pending(256) == []
    store.close()


def kind_of(text):
    for typ in ("eat+jwt", "consent-edge-statement+jwt"):
        try:
            read_jws(text, typ, 16_384, lambda message: ValueError(message))
        except ValueError:
            continue
        return typ
    return ""


def test_the_points_are_known():
    """A point that is renamed is still tried."""
    assert {"attested", "attested-before-commit", "attestations-answered", "attestations-sending"} <= set(POINTS)
