"""The control plane's origin: the one place that a deployed function may call."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent_core.errors import Rejected

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port, each spelled out: allow-lists of hosts differ in what they take for granted."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Origin":
        """`https://host[:port]`, `http` on this machine only. Raises: Rejected("deploy-control-plane")."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Rejected("deploy-control-plane", f"not a URL: {error}") from error
        _require(parts.scheme in ("https", "http"), "expected https://host[:port]")
        _require(parts.path in ("", "/") and not parts.query and not parts.fragment, "an origin has no path or query")
        _require(parts.username is None and parts.password is None, "an origin has no user")
        _require(bool(_HOST.fullmatch(host)), "expected one host by name or IPv4 address, no wildcard")
        _require(parts.scheme == "https" or is_loopback(host), "http only to this machine")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine. By name only `localhost`: others are somebody's to define."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Rejected("deploy-control-plane", message)
