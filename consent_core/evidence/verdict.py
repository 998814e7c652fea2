"""The verdict on an evidence file: eighteen results, the lines that come first, and the exit code.

verdict = judge(data, trust_data, Circumstances(at=clock.now(), receipt=text))
verdict.lines[0] == "trust file SHA-256 …: from where do you have it?"
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent_core.errors import Untrusted
from consent_core.evidence.checks import ALWAYS, CHECKS, NEEDED, WITNESSES, Check
from consent_core.evidence.documents import Document, documents_of
from consent_core.evidence.opening import Case, Circumstances, open_case
from consent_core.evidence.outcome import Outcome
from consent_core.evidence.pack import Pack, SignedPack, read_pack
from consent_core.evidence.sentences import FAILS, UNREAD, plain, say
from consent_core.formats.canonical import sha256_digest
from consent_core.trust.trust_file import TrustFile

HOLDS, FAILED, NOT_SHOWN = "holds", "fails", "not shown"


@dataclass(frozen=True, slots=True)
class Result:
    """One check's result. excused: not shown, and the file itself says why under `open` or `left`."""

    number: int
    name: str
    verdict: str
    sentence: str
    findings: tuple[Untrusted, ...] = ()
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file shows. `lines` are read before the results. `digest`: of the file."""

    results: tuple[Result, ...]
    lines: tuple[str, ...]
    digest: str
    trust_digest: str
    pack: Pack | None
    documents: tuple[Document, ...] = ()

    @property
    def question(self) -> str:
        """What the file is to answer."""
        return self.pack.question if self.pack else ""

    @property
    def answered(self) -> bool:
        """Whether the file answers its question: 1 to 6 hold, nothing fails, and what the question needs is shown."""
        needed = {*ALWAYS, *NEEDED.get(self.question, ())}
        return all(_counts(result, result.number in needed) for result in self.results)

    @property
    def exit_code(self) -> int:
        """0 where the file answers its question, 1 otherwise."""
        return 0 if self.answered else 1

    def value(self) -> dict[str, Any]:
        """The verdict as one JSON document."""
        return {
            "lines": list(self.lines),
            "question": self.question,
            "answered": self.answered,
            "pack": self.digest,
            "trust_file": self.trust_digest,
            "checks": [_result_value(result) for result in self.results],
        }


def judge(data: bytes, trust_data: bytes, circumstances: Circumstances) -> Verdict:
    """Every check of an evidence file. Raises: Untrusted("trust-file" | "json-malformed") for the trust file alone."""
    trust = TrustFile.from_bytes(trust_data)
    try:
        signed = read_pack(data)
    except Untrusted as error:
        return _verdict(data, trust_data, tuple(_unread(check, error) for check in CHECKS), None)
    case = open_case(signed, trust, circumstances)
    return replace(_verdict(data, trust_data, _results(case), signed), documents=documents_of(case))


def _results(case: Case) -> tuple[Result, ...]:
    pack = case.signed.pack
    return tuple(_result(check, check.run(case), pack) for check in CHECKS)


def _result(check: Check, found: Outcome, pack: Pack) -> Result:
    verdict = FAILED if found.found else NOT_SHOWN if found.reason else HOLDS
    sentence = say(check.number, verdict, found.reason, found.facts)
    findings = tuple(Untrusted(one.code, plain(one.message)) for one in (*found.found, *found.remarks))
    excused = bool(found.excuse) and _admitted(pack, str(found.excuse))
    return Result(check.number, check.name, verdict, sentence, findings, excused)


def _admitted(pack: Pack, excuse: str) -> bool:
    return excuse in pack.open or any(text.startswith(excuse) for text in pack.left)


def _unread(check: Check, error: Untrusted) -> Result:
    if check.number == 1:
        return Result(1, check.name, FAILED, FAILS[1], (error,))
    return Result(check.number, check.name, NOT_SHOWN, UNREAD)


def _counts(result: Result, needed: bool) -> bool:
    if result.verdict == HOLDS:
        return True
    shown_enough = not needed or result.excused or result.number == WITNESSES
    return result.verdict == NOT_SHOWN and shown_enough


def _verdict(data: bytes, trust_data: bytes, results: tuple[Result, ...], signed: SignedPack | None) -> Verdict:
    digest = hashlib.sha256(trust_data).hexdigest()
    first = f"trust file SHA-256 {digest}: from where do you have it?"
    witnesses = results[WITNESSES]
    if witnesses.verdict == NOT_SHOWN:
        first = f"{first} {witnesses.sentence}"
    rest = [] if witnesses.verdict == NOT_SHOWN else [witnesses.sentence]
    rest += [result.sentence for result in results if result.verdict == NOT_SHOWN and result is not witnesses]
    return Verdict(results, (first, *rest), sha256_digest(data), f"sha256:{digest}", signed.pack if signed else None)


def _result_value(result: Result) -> Mapping[str, Any]:
    return {
        "number": result.number,
        "name": result.name,
        "verdict": result.verdict,
        "sentence": result.sentence,
        "findings": [{"code": finding.code, "message": finding.message} for finding in result.findings],
        "excused": result.excused,
    }
