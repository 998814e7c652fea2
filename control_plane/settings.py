"""Everything a control plane is told at its start. Built once at the edge of the process and passed down."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from consent_core.clock import Clock, SystemClock
from consent_core.formats.token import MAX_LIFETIME_S
from consent_core.nats_hints import read_push_url
from consent_core.resources import ROOT
from control_plane.ledger.ledger import LedgerSettings
from control_plane.ledger.witnessing import read_address
from control_plane.log.log import ROWS_GONE_S
from control_plane.proofs.retention import BACKUPS_KEPT_DAYS, PROOF_KEPT_DAYS

DAY_S = 86_400
MAX_CONTROL_PLANES = 9
PAGE = re.compile(r"[a-z0-9-]{1,64}=https?://[^\s=]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """One control plane. Times are seconds. Raises: ValueError for a value that cannot work."""

    data: Path  # the data directory: trust.json, keys/, control-plane/
    database_url: str | None = None  # None: SQLite under `data`; else postgresql://…
    policies: Path = ROOT / "policies"  # published at the first start
    legal: Path = ROOT / "legal"  # its clauses go into the bundle
    token_lifetime_s: int = MAX_LIFETIME_S  # CONTRACTS section 1: at most 300
    consent_retention_s: int = 180 * DAY_S  # a choice is asked again after it: the CNIL recommends six months
    session_entry_retention_s: int = ROWS_GONE_S  # until the longest retention at a POP has run out
    max_body_bytes: int = 65_536  # of any request but a policy bundle
    max_bundle_bytes: int = 8_388_608
    max_wait_s: int = 20  # CONTRACTS section 2: of a long poll
    host: str = "127.0.0.1"
    public_port: int = 7000
    mesh_port: int = 7443
    admin_port: int | None = None  # dashboard, /metrics, /readyz: on 127.0.0.1, not on `host`; None: no such listener
    pop_pages: tuple[str, ...] = ()  # Prometheus pages that the dashboard reads, each as pop=http://host:port/metrics
    maintain_every_s: float = 60.0
    name: str = "main"  # of this control plane in its SPIFFE id
    number: int = 1  # of this control plane among those on one database: each has an audit trail of its own
    spiffe_endpoint_socket: str | None = None  # SPIRE's Workload API; None: the development CA under `data`
    mutual_tls: bool = True  # off only where the caller is this very process, as in tests and benchmarks
    svid_ttl_s: int = 3_600  # of the certificates that the development CA issues; rotated at half of it
    joined_svid_ttl_s: int = 7 * DAY_S  # of the certificates of POPs that joined with a code; renewed at half of it
    components: Path = Path("build/components")  # what such POPs may fetch; each checks the signatures
    key_provider: str = "keyring"  # who wraps the audit trail's data keys: consent_core.trust.providers.selection
    key_provider_token: str | None = None  # for OpenBao
    audit_keep_days: int = 400  # a year, and time to answer for its end
    ledger_url: str | None = None  # of the ledger's own database; None: SQLite under `data`
    witnesses: tuple[str, ...] = ()  # where those of the trust file listen, each as name=http://host:port
    ledger_beat_s: float = 30.0  # between two checkpoints of the ledger
    push_url: str | None = None  # a NATS server that hints are published to too, such as nats://127.0.0.1:4222
    archive: str | None = None  # a directory or s3://bucket/prefix that the published files are added to
    proof_kept_days: int = PROOF_KEPT_DAYS  # of consent, after the record is gone; the clause `retention` says so
    backups_kept_days: int = BACKUPS_KEPT_DAYS  # after which no backup holds a destroyed key; the same clause
    evidence_kept_days: int = 90  # of a request's file and answer, sealed to who asked
    register_kept_days: int = 400  # of a name in the erasure register: longer than any backup or POP copy is kept
    register: Path | None = None  # the erasure register's directory, on another disk than the database; None: `data`
    grace_s: int = 3  # open requests may end after a stop is asked for
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        times = ("consent_retention_s", "max_wait_s", "maintain_every_s", "ledger_beat_s")
        for name in ("max_body_bytes", "max_bundle_bytes", *times):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected more than 0")
        if not 1 <= self.number <= MAX_CONTROL_PLANES:
            raise ValueError(f"number: expected 1 to {MAX_CONTROL_PLANES}")
        if self.number > 1 and self.database_url is None:
            raise ValueError("number: several control planes share a PostgreSQL: set database_url")
        if self.push_url is not None:
            read_push_url(self.push_url)
        for text in self.witnesses:
            read_address(text)
        for text in self.pop_pages:
            if not PAGE.fullmatch(text):
                raise ValueError("pop_pages: expected pop=http://host:port/metrics")

    @property
    def pages(self) -> dict[str, str]:
        """The addresses of `pop_pages`, by POP."""
        return dict(text.split("=", 1) for text in self.pop_pages)

    @property
    def home(self) -> Path:
        """The directory of the control plane's own files."""
        return self.data / "control-plane"

    @property
    def register_home(self) -> Path:
        """Where the erasure register lies."""
        return self.register or self.home / "erased"

    @property
    def ledger(self) -> LedgerSettings:
        """The ledger beside the consent database."""
        witnesses = tuple(read_address(text) for text in self.witnesses)
        return LedgerSettings(self.home / "ledger", self.ledger_url, witnesses, self.archive, self.ledger_beat_s)

    @property
    def store_url(self) -> str:
        """The database, as SQLAlchemy names it."""
        return self.database_url or f"sqlite:///{self.home / 'consent.db'}"
