"""The three families of failure, by who must act. Every error carries a stable `code`.

    ConsentEdgeError
    ├── Rejected      the caller sent something wrong: deny, say why, audit
    ├── Untrusted     a signed artefact is bad: keep the last good one, count it, show it
    └── Unavailable   I/O failed: retry or degrade

The code is the same string in WIT enums, JSON answers, the SDK and metric labels, and each is listed in
`docs/errors.md` (a test compares). Misuse by our own code stays `ValueError` or `RuntimeError`.
Standard library only: this module also runs inside guests.
"""


class ConsentEdgeError(Exception):
    """A failure with a stable machine `code` and a message for people (no personal data, no token bytes)."""

    status = 500
    retry_after_s: int | None = None  # when to ask again, where that is known

    def __init__(self, code: str, message: str = "", *, status: int | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message or code
        if status is not None:
            self.status = status


class Rejected(ConsentEdgeError):
    """The caller's input is refused. `status` is the HTTP status that says so (default 400)."""

    status = 400


class Untrusted(ConsentEdgeError):
    """A signed artefact does not verify. A process that holds a last good one keeps it."""

    status = 502


class Unavailable(ConsentEdgeError):
    """Something this process depends on did not answer. The caller may retry."""

    status = 503
