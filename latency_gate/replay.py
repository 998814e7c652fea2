"""1,000 decision receipts decided again: in three processes, and on V8 through jco.

    document, rows = run_replay(place, report, out, 1_000)      # `edge bench --suite replay --gate`

The inputs are drawn from a seed: pages, histories, arms and entropy of all kinds, refusals left out. Each process has
another hash seed. On V8 the component of the same digest is translated to JavaScript (`jco transpile`), so that
another engine and another host decide.
"""

import json
import os
import random
import subprocess
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from consent_core.clock import SystemClock
from consent_core.decision.contract import (
    Candidate,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.decision.receipt import DecisionReceipt, Input, output_bytes, sign_receipt
from consent_core.errors import Rejected
from consent_core.formats.endorsement import Endorsement, sign_endorsement
from consent_core.formats.seen import NONE
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import NO_LOG
from fleet.machine import describe
from fleet.project import Stage, prepare
from latency_gate.judge import BROKEN, OK, Row
from latency_gate.peers import jco_command
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import Limits, SandboxPool

SEED = 20_261_130
HASH_SEEDS = ("0", "1", "4711")
SCRIPT = Path(__file__).parent / "jco" / "replay.mjs"
PATIENT = Limits(deadline_s=10)
WORDS = ("water", "kayak", "tent", "camping", "snow", "boots", "arm:a", "arm:b", "é", "日本", "x" * 64)
KINDS = ("impression", "click", "purchase")


def run_replay(place: Path, report: Path, out: Console, count: int) -> tuple[dict[str, Any], list[Row]]:
    """Make `count` receipts, decide them again everywhere; write `replay.json`. Every one has to come out equal."""
    place.mkdir(parents=True, exist_ok=True)
    stage = prepare(place / "edge", place / "components", out)
    with out.status(f"{count} decisions …"):
        receipts = _receipts(stage, count)
        equal = {f"process, hash seed {seed}": _in_process(place, stage, seed) for seed in HASH_SEEDS}
    with out.status("jco …"):
        equal["V8, through jco"] = _on_v8(place, stage, receipts)
    document = {"machine": describe(), "receipts": count, "component": receipts[0].component, "equal": equal}
    (report / "replay.json").write_text(json.dumps(document, indent=1))
    return document, [_row(name, number, count) for name, number in equal.items()]


def _row(name: str, equal: int, count: int) -> Row:
    return Row(name, OK if equal == count else BROKEN, equal, count, "", f"{equal} of {count} equal to the last byte")


def _receipts(stage: Stage, count: int) -> list[DecisionReceipt]:
    """Decided here, signed by a key that this deployment endorses, and written down as a visitor is given them."""
    store, now = KeyStore.open(stage.data), SystemClock().now()
    key = AttesterKey.open(stage.data / "replay")
    endorsement = Endorsement("spiffe://ui-tools/edge/bench-1", key.kid, key.public_key, now - 60, now + 86_400)
    envelope = json.loads(sign_endorsement(endorsement, store.current("attestation")))
    component = load_component(stage.components / "personalization", store.trust_file(), now, NO_LOG)
    with SandboxPool(component, PATIENT) as pool:
        made = list(islice(_decided(Personalizer(pool), now), count))
    lines = [json.dumps({"receipt": sign_receipt(receipt, key), "endorsement": envelope}) for receipt in made]
    (stage.data / "replay" / "why.ndjson").write_text("\n".join(lines) + "\n")
    return made


def _decided(personalizer: Personalizer, now: int) -> Any:
    """Receipts without end; an input that the component refuses has none."""
    chance = random.Random(SEED)  # noqa: S311 - inputs to try, no secret
    while True:
        category, given = _drawn(chance)
        try:
            output = personalizer.decide("home-hero", given.signals, given.candidates, given.entropy)
        except Rejected:
            continue
        yield DecisionReceipt(
            "spiffe://ui-tools/edge/bench-1", now, "home-hero", category, "EU", "sha256:" + "0" * 64, now + 300,
            personalizer.digest, given, output, NONE,
        )  # fmt: skip


def _drawn(chance: random.Random) -> tuple[str, Input]:
    page = PageContext(f"/{chance.choice(WORDS)}", chance.choice(WORDS), _some(chance), "en")
    history = tuple(
        Interaction(chance.choice(KINDS), chance.choice(WORDS), _some(chance), chance.randrange(256))  # type: ignore[arg-type]
        for _ in range(chance.randrange(6))
    )
    arm = ExperimentArm("tile", chance.choice(("a", "b")))
    category = chance.choice(CATEGORIES)
    signals = Signals(
        page if category == "contextual" or chance.random() < 0.5 else None,
        history if category == "behavioral" else None,
        arm if category == "experimental" else None,
    )
    candidates = tuple(
        Candidate(f"asset-{number}", _some(chance), (f"About {chance.choice(WORDS)}", f"More {number}"))
        for number in range(chance.randint(1, 6))
    )
    return category, Input(signals, candidates, chance.randrange(16))


def _some(chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample(WORDS, chance.randrange(4)))


def _in_process(place: Path, stage: Stage, seed: str) -> int:
    """How many `edge evidence replay` calls equal, in a process of its own."""
    files = [stage.data / "replay" / "why.ndjson", "--components", stage.components]
    command = [sys.executable, "-m", "edge_cli.edge", "evidence", "replay", *map(str, files), "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    run = subprocess.run(
        [*command, "--trust", str(stage.data / "trust.json")], env=environment, capture_output=True, check=False
    )
    (place / f"replay-{seed}.json").write_bytes(run.stdout)
    return sum(one["verdict"] == "equal" for one in json.loads(run.stdout or b"[]"))


def _on_v8(place: Path, stage: Stage, receipts: list[DecisionReceipt]) -> int:
    """How many come out of the same component as JavaScript with the receipt's bytes."""
    node, script = jco_command()
    wasm = stage.components / "personalization" / "personalization.wasm"
    subprocess.run([node, script, "transpile", str(wasm), "-o", str(place / "v8"), "-q"], check=True)
    lines = "\n".join(json.dumps({"slot": one.slot, "input": asdict(one.input)}) for one in receipts)
    run = subprocess.run(
        [node, str(SCRIPT), str(place / "v8" / "personalization.js")],
        input=lines.encode(),
        capture_output=True,
        check=False,
    )
    said = run.stdout.splitlines()
    return sum(line == output_bytes(one.output) for line, one in zip(said, receipts, strict=False))
