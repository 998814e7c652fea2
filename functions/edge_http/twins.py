"""The other two functions in this interpreter: their own `app.py`, called as the host calls their components.

Each expects the WIT modules of its own world. Those are made here before the apps are imported, from the same records
and enums that native runs use; the verifier is this component's own.
"""

import sys

from runtime_host.wasm.cases import consent_module, guest_key, host_claims, personalization_module

for _module in (consent_module(), personalization_module()):
    sys.modules[_module.__name__] = _module

import consent_validation  # noqa: E402 - after the modules it imports
import personalization  # noqa: E402
from componentize_py_types import Err  # noqa: E402

from consent_core.decision.contract import Candidate, Decision, Signals  # noqa: E402
from consent_core.errors import Rejected, Unavailable  # noqa: E402
from consent_core.formats.token import Claims, Expectation, Key  # noqa: E402
from runtime_host.wasm.cases import case_name  # noqa: E402

verify_signature = consent_validation._verify


def validate(text: str, keys: tuple[Key, ...], expected: Expectation) -> Claims:
    """The claims of a valid token. Raises: Rejected(token-…), Unavailable("sandbox-trap")."""
    try:
        return host_claims(consent_validation.Consent().validate(text, [guest_key(key) for key in keys], expected))
    except Err as refused:
        raise Rejected(case_name(refused.value), "the token is refused", status=401) from None
    except Exception as error:
        raise Unavailable("sandbox-trap", f"validation raised {type(error).__name__}") from None


def decide(slot: str, signals: Signals, candidates: list[Candidate], entropy: int) -> Decision:
    """One choice. Raises: Rejected(decision error), Unavailable("sandbox-trap")."""
    try:
        return personalization.Personalization().decide(slot, signals, candidates, entropy)
    except Err as refused:
        raise Rejected(case_name(refused.value), "nothing was decided") from None
    except Exception as error:
        raise Unavailable("sandbox-trap", f"personalisation raised {type(error).__name__}") from None
