"""Which client a request comes from, for rates. Behind a proxy that is named, the address that it saw; else the peer.

    clients = Clients.configured(("10.0.0.0/8",), "0.0.0.0")
    clients.of(scope)      # "203.0.113.7", "2001:db8:1:2::/64", or None: not to be limited

`X-Forwarded-For` and `Forwarded` are read from the right: each trusted proxy appended the address that it saw, and what
stands left of the first other address may be made up. IPv6 counts by /64, since one household has so many addresses.
Source: RFC 7239.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from consent_core.http.asgi import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_FORWARDED_BYTES = 2_048  # of the header's end that is read; more proxies than that stand in no row
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*"?([^";]+)"?', re.IGNORECASE)
_HEADERS = (b"x-forwarded-for", b"forwarded")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks. Raises: ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a listener there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True)
class Clients:
    """Tells clients apart. `limited`: off where every client is this machine and no proxy is named.

    `strangers`: requests with forwarding headers from a peer that is no trusted proxy. They are not limited, for all
    visitors of a proxy that no setting names would be one client.
    """

    trusted: tuple[Network, ...]
    limited: bool
    strangers: int = field(default=0)

    @classmethod
    def configured(cls, proxies: Iterable[str], host: str) -> "Clients":
        """For a listener on `host`. Raises: ValueError for what is no address or network."""
        trusted = networks(proxies)
        return cls(trusted, bool(trusted) or not is_loopback(host))

    def of(self, scope: Scope) -> str | None:
        """The client's name for rates; None where it is not to be limited."""
        if not self.limited:
            return None
        peer = _address((scope.get("client") or ("",))[0])
        if peer is None:
            return None
        forwarded = _forwarded(scope)
        if not self._trusts(peer):
            self.strangers += bool(forwarded)
            return None if forwarded else _name(peer)
        return _name(self._first_other(peer, forwarded))

    def _first_other(self, peer: Address, forwarded: Iterable[str]) -> Address:
        """The rightmost address that is no trusted proxy; the last readable one if what follows cannot be read."""
        seen = peer
        for text in forwarded:
            address = _address(text)
            if address is None:
                return seen
            seen = address
            if not self._trusts(address):
                return seen
        return seen

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.trusted)


def _forwarded(scope: Scope) -> list[str]:
    """What the forwarding headers name, the nearest first. `X-Forwarded-For` counts where there are both."""
    for header in _HEADERS:
        lines = [value for name, value in scope["headers"] if name == header]
        if lines:
            text = b",".join(lines)[-MAX_FORWARDED_BYTES:].decode("latin-1")
            return [*_named(reversed(text.split(",")), header)]
    return []


def _named(parts: Iterable[str], header: bytes) -> Iterator[str]:
    for part in parts:
        found = _FOR.search(part) if header == b"forwarded" else None
        yield part if header != b"forwarded" else "" if found is None else found[1]


def _address(text: str) -> Address | None:
    """An address with or without a port, brackets or white space; an IPv4 address in IPv6 clothes is itself."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _name(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
