"""Native twins: a function's own `app.py` in this process, behind the same two classes as its component.

    validator = ConsentValidator(NativeFunction(Path("functions/consent_validation")))
    personalizer = Personalizer(NativeFunction(Path("functions/personalization")))

For fast tests and `edge dev`: no build, no start-up. There is no isolation, no memory limit and no deadline here, so a
POP that serves people runs components.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from consent_core.decision.contract import (
    Candidate,
    Err,
    Expectation,
    Ok,
    Signals,
    VerificationKey,
)
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.trust.signatures import verify_signature
from runtime_host.wasm.cases import case_name, guest_key, host_claims
from runtime_host.wasm.exports import DECIDE, VALIDATE, Export
from runtime_host.wasm.guest_modules import Err as GuestErr
from runtime_host.wasm.guest_modules import SignatureCheck, guest_signals, load_guest


class NativeFunction:
    """One function loaded from its sources. `digest` names all of them, so that a change is another function."""

    def __init__(self, directory: Path, verify: SignatureCheck = verify_signature) -> None:
        self.name = directory.name
        self.digest = source_digest(directory)
        self.export, self._function = _bind(load_guest(directory, verify), directory.name)

    def call(self, *arguments: Any) -> Any:
        """One call. Raises: Unavailable("sandbox-trap") where a component would trap."""
        try:
            return Ok(self._function(*arguments))
        except GuestErr as error:
            return Err(case_name(error.value))
        except Exception as error:
            raise Unavailable("sandbox-trap", f"{self.name} raised {type(error).__name__}") from error

    async def acall(self, *arguments: Any) -> Any:
        """As `call`: microseconds, so it stays on the event loop."""
        return self.call(*arguments)

    def prepare(self) -> None:
        """Nothing to make ahead."""

    def close(self) -> None:
        """Nothing to free."""


def source_digest(directory: Path) -> str:
    """`sha256:<hex>` over the names and contents of a function's Python files."""
    files = sorted(directory.glob("*.py"))
    return sha256_digest(b"".join(b"%s\n%d\n%s" % (f.name.encode(), f.stat().st_size, f.read_bytes()) for f in files))


def _bind(app: ModuleType, name: str) -> tuple[Export, Callable[..., Any]]:
    if hasattr(app, "Consent"):
        return VALIDATE, _validation(app.Consent())
    if hasattr(app, "Personalization"):
        return DECIDE, _personalization(app.Personalization())
    raise Untrusted("component-exports", f"{name}/app.py has neither Consent nor Personalization")


def _validation(guest: Any) -> Callable[..., Any]:
    def validate(text: str, keys: tuple[VerificationKey, ...], expected: Expectation) -> Any:
        return host_claims(guest.validate(text, [guest_key(key) for key in keys], expected))

    return validate


def _personalization(guest: Any) -> Callable[..., Any]:
    def decide(slot: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int) -> Any:
        return guest.decide(slot, guest_signals(signals), list(candidates), entropy)

    return decide
