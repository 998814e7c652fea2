"""What names an artefact in a registry: `host[:port]/name[:tag][@sha256:…]`.

Source: OCI distribution specification 1.1, "Pulling manifests" (names and tags).
"""

import re
from dataclasses import dataclass, replace

from builder.deploy.origin import is_loopback
from consent_core.errors import Rejected

MAX_CHARACTERS = 512

_VERSION = re.compile(r"v?[0-9]+(?:[._+-][A-Za-z0-9]+)*")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?P<host>(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)/"
    rf"(?P<name>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One artefact. With a digest it means exactly one; a tag alone means what the registry says today."""

    host: str
    name: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a reference. Raises: Rejected("deploy-reference")."""
        found = _REFERENCE.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
        if found is None or not (found["tag"] or found["digest"]):
            raise Rejected("deploy-reference", "expected host[:port]/name:tag or host[:port]/name@sha256:<hex>")
        return cls(found["host"], found["name"], found["tag"], found["digest"])

    def __str__(self) -> str:
        return f"{self.host}/{self.name}" + (f":{self.tag}" * bool(self.tag)) + (f"@{self.digest}" * bool(self.digest))

    def at(self, digest: str) -> "Reference":
        """The same name, for exactly this manifest."""
        return replace(self, tag=None, digest=digest)

    @property
    def component(self) -> str:
        """The component that a repository of this name holds: its last part, with `_` for `-`."""
        return self.name.rpartition("/")[2].replace("-", "_")

    def check_version(self) -> None:
        """Return unless the tag may move: only a version says which of two releases is the older one.

        Raises: Rejected("deploy-reference").
        """
        if self.tag is not None and not _VERSION.fullmatch(self.tag):
            raise Rejected("deploy-reference", f"{self.tag!r} is no version; expected one such as 1.2.0, or a digest")

    @property
    def base_url(self) -> str:
        """Where the registry answers: HTTPS, plain HTTP on this machine only."""
        host = self.host if self.host.startswith("[") else self.host.partition(":")[0]
        return f"{'http' if is_loopback(host.partition(']')[0].strip('[')) else 'https'}://{self.host}"
