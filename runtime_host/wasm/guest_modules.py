"""Load a function's `app.py` into this process: the modules that a component gets from `componentize-py`, made by hand.

    app = load_guest(Path("functions/consent_validation"), verify_signature)
    app.Consent().validate(text, keys, expected)          # raises app.Err(Rejection.TOKEN_EXPIRED)

A guest imports `componentize_py_types` (`Err`) and `wit_world` (records and enums of `wit/world.wit`). Here the
records are those of `contract`, the enums real ones with the same names. `native` puts typed calls on top.
The guest's own modules (`features`, `weights`, …) are imported afresh for each load and are not left in
`sys.modules`, so two functions may use the same names.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from consent_core.decision import contract
from consent_core.errors import Rejected
from runtime_host.wasm.cases import (
    Algorithm,
    InteractionKind,
    SignatureError,
    consent_module,
    made_module,
    personalization_module,
)

SignatureCheck = Callable[[str, bytes, bytes, bytes], None]  # consent_core.formats.token.Verify

_LOADING = threading.Lock()  # `sys.modules` and `sys.path` belong to one load at a time


@dataclass(eq=False)
class Err(Exception):
    """What a guest raises for the error half of a WIT `result`; `value` is the enum case."""

    value: Any


def guest_signals(signals: contract.Signals) -> contract.Signals:
    """Signals as a guest sees them: each interaction's kind is an enum case."""
    if signals.history is None:
        return signals
    history = tuple(
        replace(event, kind=InteractionKind[event.kind.upper()])  # type: ignore[arg-type]
        for event in signals.history
    )
    return replace(signals, history=history)


def load_guest(directory: Path, verify: SignatureCheck) -> ModuleType:
    """Run `directory/app.py` and return its module. `verify` stands in for the composed verifier."""
    with _LOADING, _visible(directory, _wit_modules(verify)):
        return import_module("app")


def _wit_modules(verify: SignatureCheck) -> Mapping[str, ModuleType]:
    signature = made_module("wit_world.imports.signature", Algorithm=Algorithm, SignatureError=SignatureError)
    signature.verify = _raising_err(verify)  # type: ignore[attr-defined]
    consent, personalization = consent_module(), personalization_module()
    exports = made_module("wit_world.exports", consent=consent, personalization=personalization)
    imports = made_module("wit_world.imports", signature=signature)
    world = made_module("wit_world", exports=exports, imports=imports)
    types = made_module("componentize_py_types", Err=Err)
    return {module.__name__: module for module in (world, exports, imports, signature, consent, personalization, types)}


def _raising_err(verify: SignatureCheck) -> Callable[[Enum, bytes, bytes, bytes], None]:
    def check(algorithm: Enum, key: bytes, message: bytes, signature: bytes) -> None:
        try:
            verify(algorithm.name.lower(), key, message, signature)
        except Rejected as rejected:
            raise Err(SignatureError["BAD_SIGNATURE"]) from rejected

    return check


@contextmanager
def _visible(directory: Path, modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """The guest's folder and the made-up modules are importable inside; everything is as before outside."""
    names = {path.stem for path in directory.glob("*.py")} | modules.keys()
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules.update(modules)
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
