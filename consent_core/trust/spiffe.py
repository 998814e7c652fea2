"""SPIFFE ids, read strictly: `spiffe://<trust domain>/{edge|control-plane|device|operator}/<name>`.

    SpiffeId.parse("spiffe://ui-tools/edge/tokyo-1").member_of("ui-tools")

Format: `docs/formats/spiffe-id.md`. Libraries lower-case and forgive; this parser stands in front of them.
Source: SPIFFE-ID.md sections 2.1 to 2.3 (github.com/spiffe/spiffe/standards).
"""

import re
from dataclasses import dataclass

from consent_core.errors import Rejected

MAX_ID_BYTES = 2048
MAX_TRUST_DOMAIN_BYTES = 255
MESH_ROLES = ("edge", "control-plane", "device", "operator")

_SCHEME = "spiffe://"
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """A workload's name: the trust domain that vouches for it, and its path segments (at least one)."""

    trust_domain: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "SpiffeId":
        """The id in its one legal spelling. Raises: Rejected("spiffe-id")."""
        if len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
            raise _malformed(f"longer than {MAX_ID_BYTES} bytes")
        if not text.startswith(_SCHEME):
            raise _malformed(f"does not start with {_SCHEME}")
        trust_domain, *segments = text.removeprefix(_SCHEME).split("/")
        _check_trust_domain(trust_domain)
        if not segments:
            raise _malformed("names a trust domain, not a workload")
        for segment in segments:
            _check_segment(segment)
        return cls(trust_domain, tuple(segments))

    @classmethod
    def of(cls, trust_domain: str, role: str, name: str) -> "SpiffeId":
        """The id of one of our parts, such as `of("ui-tools", "edge", "tokyo-1")`."""
        made = cls.parse(f"{_SCHEME}{trust_domain}/{role}/{name}")
        made.member_of(trust_domain)
        return made

    @property
    def role(self) -> str:
        """The first path segment: what the workload is."""
        return self.segments[0]

    @property
    def name(self) -> str:
        """The last path segment: which one it is; a POP's is its region."""
        return self.segments[-1]

    def member_of(self, trust_domain: str) -> None:
        """Return if this is `<role>/<name>` of that domain.

        Raises: Rejected("spiffe-foreign-domain" | "spiffe-role").
        """
        if self.trust_domain != trust_domain:
            raise Rejected("spiffe-foreign-domain", f"expected a member of {trust_domain}", status=403)
        if len(self.segments) != 2 or self.role not in MESH_ROLES:
            raise Rejected("spiffe-role", f"expected one of {', '.join(MESH_ROLES)} and a name", status=403)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}/{'/'.join(self.segments)}"


def _check_trust_domain(text: str) -> None:
    if len(text) > MAX_TRUST_DOMAIN_BYTES:
        raise _malformed(f"a trust domain longer than {MAX_TRUST_DOMAIN_BYTES} bytes")
    if not _TRUST_DOMAIN.fullmatch(text):
        raise _malformed("a trust domain of other than lower-case letters, digits, dot, dash and underscore")


def _check_segment(text: str) -> None:
    if not _SEGMENT.fullmatch(text):
        raise _malformed("an empty path segment, or one of other than letters, digits, dot, dash and underscore")
    if text in {".", ".."}:
        raise _malformed("a dot segment")


def _malformed(reason: str) -> Rejected:
    return Rejected("spiffe-id", f"not a SPIFFE id: {reason}", status=401)
