"""Each function twice, as componentize-py left it (with a plain verifier) and finished; and what to ask them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder import build, toolchain
from builder.source import find_function, roots
from consent_core.decision.contract import Candidate, ExperimentArm, Interaction, PageContext, Signals
from consent_core.errors import ConsentEdgeError
from runtime_host.wasm.sandbox import Limits, SandboxPool
from tests.conftest import ROOT, Components
from tests.functions.tokens import CASES, EXPECTED, KEYS, issued
from tests.runtime_host.wasm.guests import compiled

PATIENT = Limits(deadline_s=60, wait_s=60)  # answers are compared here, not times
WORDS = ("boots", "snow", "winter", "brown", "leather", "sandals", "sale", "hiking", "arm:a", "ü", "", "x" * 128)
MODES = ("impression", "click", "purchase")


@dataclass(frozen=True)
class Both:
    """One function, unfinished and finished."""

    bare: SandboxPool
    finished: SandboxPool

    def answers(self, *arguments: Any) -> tuple[object, object]:
        """What each says, refusals by their code."""
        return _answer(self.bare, arguments), _answer(self.finished, arguments)

    def close(self) -> None:
        self.bare.close()
        self.finished.close()


def both(name: str, components: Components, scratch: Path) -> Both:
    """Build, compose and compile the two forms of a function."""
    (result,) = build([name], root=ROOT, out=components.directory, signer=components.store.current("component"))
    bare = result.bare if name == "personalization" else _composed(result.bare, scratch)
    finished = result.directory / result.manifest.wasm_file
    return Both(*(SandboxPool(compiled(path.read_bytes()), PATIENT) for path in (bare, finished)))


def _composed(bare: Path, scratch: Path) -> Path:
    verifier = find_function("verifier", roots(ROOT))
    inside, done = scratch / "verifier.wasm", scratch / "composed.wasm"
    wit = scratch / "wit"
    wit.mkdir(exist_ok=True)
    for path, data in verifier.wit.items():
        (wit / path).write_bytes(data)
    source = verifier.directory / "verifier.zig"
    toolchain.compile_zig(source, wit, verifier.world, inside, scratch / "zig", portable=True)
    toolchain.compose(bare, [inside], done)
    return done


def decisions(count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    """Arguments of `decide`: small and odd ones, every refusal, and the largest that is read at all."""
    chance = random.Random(seed)
    yield from _largest()
    for _ in range(count - 3):
        signals = Signals(_page(chance), _history(chance), _arm(chance))
        entropy = chance.choice((0, 1, 3, 7, 11, 14, 15, chance.randrange(256)))
        yield chance.choice(WORDS), signals, _candidates(chance), entropy


def validations(count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    """Arguments of `validate`: good tokens of both algorithms, each named refusal, and tokens with a change."""
    chance = random.Random(seed)
    named = [(case.token, case.keys, case.expected) for case in CASES]
    named = chance.sample(named, min(len(named), count // 2))
    yield from named
    for _ in range(count - len(named)):
        token = issued(algorithm=chance.choice(("EdDSA", "ES256")))
        if chance.random() < 0.5:
            place = chance.randrange(len(token))
            token = token[:place] + chance.choice("Ab0_-.é ") + token[place + 1 :]
        expected = EXPECTED._replace(now=EXPECTED.now + chance.choice((0, 0, 0, 999)))
        yield token, KEYS if chance.random() < 0.95 else (), expected


def _answer(pool: SandboxPool, arguments: tuple[Any, ...]) -> object:
    try:
        return pool.call(*arguments)
    except ConsentEdgeError as error:
        return error.code


def _words(chance: random.Random, most: int) -> tuple[str, ...]:
    weights = [8] * 8 + [1] * (len(WORDS) - 8)
    return tuple(chance.choices(WORDS, weights, k=chance.randrange(most + 1)))


def _page(chance: random.Random) -> PageContext | None:
    if chance.random() < 0.2:
        return None
    path = "/" + "/".join(_words(chance, 3))
    return PageContext(path, chance.choice(WORDS), _words(chance, 5), chance.choice(("en", "de", "")))


def _history(chance: random.Random) -> tuple[Interaction, ...] | None:
    if chance.random() < 0.3:
        return None
    return tuple(
        Interaction(chance.choice(MODES), f"item-{chance.randrange(9)}", _words(chance, 4), chance.randrange(256))  # type: ignore[arg-type]
        for _ in range(chance.randrange(12))
    )


def _arm(chance: random.Random) -> ExperimentArm | None:
    return ExperimentArm(chance.choice(WORDS), chance.choice(("a", "b"))) if chance.random() < 0.3 else None


def _candidates(chance: random.Random) -> tuple[Candidate, ...]:
    texts = ("For winter.", "Warm boots for you.", "Säle €", "", "Ready for snow?")
    return tuple(
        Candidate(f"asset-{n}", _words(chance, 4), tuple(chance.choices(texts, k=chance.randrange(1, 4))))
        for n in range(chance.randrange(9))
    )


def _largest() -> Iterator[tuple[Any, ...]]:
    """The most that `functions/personalization/limits.py` reads, and one more of something."""
    tags = tuple(f"{n:0128}" for n in range(32))
    page = PageContext("/" + "p" * 511, "s" * 128, tags, "l" * 128)
    history = tuple(Interaction("click", f"{n:0128}", tags[:8], n) for n in range(256))
    offered = tuple(Candidate(f"{n:0128}", tags, ("c " * 256,) * 8) for n in range(64))
    yield "s" * 128, Signals(page, history), offered, 3
    yield "s" * 128, Signals(page, history), (*offered, replace(offered[0], asset="one more")), 3
    yield "s" * 128, Signals(page, (*history, history[0])), offered, 3
