"""What a guest did wrong, read from wasmtime's message, as one of our codes.

| code | the guest |
|---|---|
| `sandbox-deadline` | ran longer than its deadline |
| `sandbox-stack` | recursed deeper than its stack |
| `sandbox-trap` | trapped in another way: an uncaught exception, a division by zero, an access outside its memory |
| `sandbox-memory` | asked at its start for more memory, tables or instances than allowed |
| `sandbox-rubbish` | returned what is not a value of the type, or too much of it |

Growth beyond the limit while running is refused (`memory.grow` returns -1); a guest that then gives up traps.
The C interface has no codes for component errors, so this reads the cause, never the backtrace: function names are
the guest's to choose. Messages keep to a fixed text, because a guest may have put data into its own.
"""

from consent_core.errors import Unavailable

_CAUSED_BY = "\nCaused by:\n"


def failed_call(message: str) -> Unavailable:
    """The failure of a call."""
    return _trap(message) or Unavailable("sandbox-rubbish", "the function returned something that is not a value")


def failed_start(message: str) -> Unavailable:
    """The failure of an instantiation."""
    if "exceeds memory limits" in message or "exceeds table limits" in message or "resource limit" in message:
        return Unavailable("sandbox-memory", "the function needs more than its limits allow")
    return _trap(message) or Unavailable("sandbox-start", "the function could not be started")


def _trap(message: str) -> Unavailable | None:
    cause = message.rpartition(_CAUSED_BY)[2]
    if "wasm trap:" not in cause:
        return None
    if "wasm trap: interrupt" in cause:
        return Unavailable("sandbox-deadline", "the function ran longer than its deadline")
    if "wasm trap: call stack exhausted" in cause:
        return Unavailable("sandbox-stack", "the function recursed too deep")
    return Unavailable("sandbox-trap", "the function trapped")
