"""What one POP is told at its start. Built once at the edge of the process and passed down; nothing else is read."""

import re
from dataclasses import dataclass
from pathlib import Path

from consent_core.formats.consent import JURISDICTION, REGION
from consent_core.formats.fields import UNKNOWN_JURISDICTION
from consent_core.http.clients import networks
from consent_core.nats_hints import read_push_url
from consent_core.trust.failover import read_addresses
from runtime_host.pop.stores.shared_state import MAX_WORKERS

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}(?:\+[A-Za-z0-9-]{1,64})?")
_PORTS = range(65_536)


@dataclass(frozen=True, slots=True)
class PopConfig:
    """One point of presence.

    Raises: ValueError for a value that no POP can run with.
    """

    pop: str  # its id, which is also its region
    data: Path  # the data directory; this POP's own files are below `pops/<pop>/`
    jurisdiction: str = UNKNOWN_JURISDICTION  # where a request comes from when no trusted header says otherwise
    age_band: str = "adult"  # whom the site addresses; a page that asks its visitors sends what they said
    geo_header: str | None = None  # header(s) that only a trusted front end can set: `country` or `country+region`
    control_plane: str = "https://127.0.0.1:7443"  # base URL of its mesh listener, or several: a,b
    workers: int = 1  # processes behind the public port; each has caches and sandboxes of its own
    push: bool = True  # listen to its stream of hints; off, polls carry everything
    push_url: str | None = None  # a NATS server that hints come from instead, such as nats://127.0.0.1:4222
    host: str = "127.0.0.1"
    public_port: int = 8081
    mesh_port: int = 8481
    admin_port: int = 8881
    secure_cookies: bool = True  # cookie name prefixes and `Secure`; off only where a browser refuses them
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks whose forwarding headers say who asks
    public_origins: tuple[str, ...] = ()  # origins besides the Host header's that this site is known by
    token_cache_entries: int = 50_000  # about 1 kB each
    decision_memo_entries: int = 20_000  # 0.4 kB each measured; capacity plans allow 1 kB
    rendition_cache_bytes: int = 64 * 2**20
    renderers: int = 2  # processes that render pictures, shared out between the workers; at least one each
    max_body_bytes: int = 16_384  # of any request this listener accepts
    max_streams: int = 2_000  # open consent streams of one worker
    stream_ping_s: float = 15.0  # below the idle time-out of common proxies
    token_leeway_s: int = 5  # how far ahead an issuer's clock may be
    control_plane_timeout_s: float = 5.0
    svid_ttl_s: int = 3_600  # of the certificates that the development CA issues; rotated at half of it
    key_provider: str = "keyring"  # who wraps the audit trail's data keys: see consent_core.trust.providers.selection
    otlp_endpoint: str | None = None  # where metrics are pushed, such as http://127.0.0.1:4318/v1/metrics
    otlp_every_s: float = 15.0  # between two pushes
    audit_keep_days: int = 400  # a year, and time to answer for its end
    shared_cache_s: int = 0  # how long CDNs may keep a default's picture, see docs/cdn.md; 0: not at all
    attest_every_s: int = 60  # between two attestations; from 300 POPs on, 300

    def __post_init__(self) -> None:
        _expect(REGION.fullmatch(self.pop), "pop: expected lower-case letters, digits and inner hyphens")
        _expect(JURISDICTION.fullmatch(self.jurisdiction), "jurisdiction: expected a code such as EU or US-CA")
        _expect(
            self.geo_header is None or _HEADER.fullmatch(self.geo_header),
            "geo_header: expected a name, or two: a+b",
        )
        _expect(1 <= self.workers <= MAX_WORKERS, f"workers: expected 1 to {MAX_WORKERS}")
        _expect(self.renderers >= 1, "renderers: expected at least 1")
        read_addresses(self.control_plane)
        if self.push_url is not None:
            read_push_url(self.push_url)
        _expect(self.attest_every_s > 0, "attest_every_s: expected more than 0")
        networks(self.trusted_proxies)
        _expect(0 <= self.shared_cache_s <= 86_400, "shared_cache_s: expected 0 to 86,400")
        for port in (self.public_port, self.mesh_port, self.admin_port):
            _expect(port in _PORTS, "port: expected 0 to 65535")

    @property
    def renderers_each(self) -> int:
        """How many render processes each worker may start."""
        return max(1, self.renderers // self.workers)

    @property
    def home(self) -> Path:
        """The directory of this POP's own stores."""
        return self.data / "pops" / self.pop

    @property
    def trust_file(self) -> Path | None:
        """The trust file to look at again while running; None where the trust came from elsewhere."""
        path = self.data / "trust.json"
        return path if path.exists() else None


def _expect(met: object, message: str) -> None:
    if not met:
        raise ValueError(message)
