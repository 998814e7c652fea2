"""Puts the rooms together: `create_app(settings)` is a control plane ready to be served.

    plane = create_app(Settings(data=Path(".edge")))
    plane.public_app, plane.mesh_app      # ASGI applications, see process.py
    plane.close()

It finds or makes keys, trust file, store and first policy in the data directory; starting twice at once is safe.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from consent_core.errors import Unavailable
from consent_core.trust.keys import KeyStore
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from control_plane.api import documents, errors
from control_plane.api.attesters import attester_routes
from control_plane.api.consents import consent_routes
from control_plane.api.edge_state import EdgeStates, edge_state_routes
from control_plane.api.enrolment import enrolment_routes, joining_routes
from control_plane.api.evidence import evidence_routes
from control_plane.api.federated import federated_routes
from control_plane.api.kept import kept_routes
from control_plane.api.keys import key_routes
from control_plane.api.ledger import ledger_routes
from control_plane.api.own_requests import own_request_routes
from control_plane.api.policies import policy_routes
from control_plane.api.revocations import revocation_routes
from control_plane.api.subject_requests import request_routes
from control_plane.api.visitors import visitor_routes
from control_plane.attesters.own import OwnAttester, Surroundings
from control_plane.attesters.room import Attesters
from control_plane.attesters.statements import GATHER_S, SENT_AGAIN_S
from control_plane.consent.answering import Answering
from control_plane.consent.consents import Consents
from control_plane.consent.granting import Granting
from control_plane.consent.proofs import Proofs
from control_plane.consent.receipts import Receipts
from control_plane.consent.tokens import TokenIssuer
from control_plane.consent.versions import Versions
from control_plane.consent.withdrawing import Withdrawing
from control_plane.dsar.holding import Purges
from control_plane.dsar.register import Register
from control_plane.dsar.room import Around, Requests
from control_plane.enrolment import Invitations, Joining
from control_plane.evidence.packing import Packing
from control_plane.federated.room import Federated
from control_plane.ledger.ledger import Ledger
from control_plane.log.log import RevocationLog
from control_plane.log.standing import SERVING
from control_plane.maintenance import Swept, sweep
from control_plane.policies.current import Policies
from control_plane.policies.pops import Pops
from control_plane.policies.publishing import publish_first, renew
from control_plane.proofs.retention import CLAUSE, DAY_S, warn_unless_named
from control_plane.proofs.store import ProofStore
from control_plane.registry.releases import Releases
from control_plane.restore.applying import Restoring
from control_plane.restore.collecting import Collecting
from control_plane.revocations.erasing import Erasing
from control_plane.revocations.revoking import Revoking
from control_plane.settings import Settings
from control_plane.store.database import Database


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One control plane. `failures`: how often each (family, code) was answered, for `/metrics`."""

    settings: Settings
    keys: KeyStore
    database: Database
    ledger: Ledger
    proofs: ProofStore
    attesters: Attesters
    log: RevocationLog
    policies: Policies
    pops: Pops
    consents: Consents
    revoking: Revoking
    restoring: Restoring
    collecting: Collecting
    federated: Federated
    own: OwnAttester
    requests: Requests
    public_app: FastAPI
    mesh_app: FastAPI
    failures: Counter[tuple[str, str]]

    def sweep(self) -> Swept:
        """Delete what ran out; a week of learning that ran out is closed, the next one opened."""
        self.federated.rounds.tick()
        held = self.requests.held()
        swept = sweep(self.database, self.log, self.settings.clock, held.subjects)
        with self.database.write() as connection:
            self.proofs.expire(connection, self.settings.proof_kept_days * DAY_S, held.handles)
            self.requests.sweep(connection)
            self.attesters.statements.sweep(connection, self.settings.clock.now() - SENT_AGAIN_S)
        return swept

    def close(self) -> None:
        """Let waiting callers go and close the store."""
        self.log.hints.close()
        self.requests.turn.close()
        self.ledger.close()
        self.proofs.close()
        self.database.close()


def create_app(settings: Settings) -> ControlPlane:
    """A control plane over the data directory and store of its settings.

    Raises: Unavailable("keys-missing" | "store-unavailable"), Untrusted("keys-malformed" | "trust-file"),
            Rejected("policy-…") for policy sources that cannot be published.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    clock = settings.clock
    keys = KeyStore.open(settings.data, create=True, clock=clock)
    issuer = keys.trust_file().issuer
    database = Database.open(settings.store_url)
    provider = open_provider(settings.key_provider, settings.data, settings.key_provider_token)
    proofs = ProofStore.open(settings.home / "proofs", provider, clock)
    ledger = Ledger.open(settings.ledger, database, keys, clock, proofs)
    gather_s = min(GATHER_S, max(1, int(settings.ledger_beat_s)))
    attesters = Attesters.of(database, keys, clock, proofs, ledger.entries, gather_s)
    log_kept = (settings.session_entry_retention_s, settings.register_kept_days * DAY_S)
    log = RevocationLog(database, keys, clock, *log_kept, ledger.entries)
    policies = Policies(log, keys.trust_file, clock)
    publish_first(policies, database, keys, (settings.policies, settings.legal), clock.now())
    pops = Pops(database, clock)
    tokens = TokenIssuer(keys, issuer, clock, settings.token_lifetime_s, log.require_serving)
    versions = Versions(Receipts(keys, issuer), clock)
    withdrawing = Withdrawing(policies, versions, clock)
    granting = Granting(policies, versions, withdrawing, clock, settings.consent_retention_s)
    answering = Answering(tokens, clock, settings.consent_retention_s)
    consents = Consents(log, policies, granting, withdrawing, answering, Proofs(keys))
    renewing = partial(renew, policies, keys, clock)
    with suppress(Unavailable):  # a restored one that does not serve yet
        renewing()  # after a rotation that a crash cut short
    erasing = Erasing(database, clock)
    register = Register.open(settings.register_home, provider)
    purges = Purges(register, proofs)
    purges.remember_all(log.entry(seq) for seq, _ in log.purged(0))
    revoking = Revoking(log, consents, keys, erasing, renewing, purges.permit, purges.remember)
    restoring = Restoring(log, policies, versions, keys, revoking.distrust, clock)
    collecting = Collecting(database, clock, restoring.carry_out, restoring.latecomer)
    releases = Releases(settings.home / "releases", keys, clock)
    federated = Federated.of(database, policies, clock, settings.data, releases.newest)
    kept_days = (settings.proof_kept_days, settings.backups_kept_days)
    packing = Packing(database, ledger, proofs, keys, clock, *kept_days)
    own = _own(settings, keys, attesters, erasing, policies, ledger)
    around = Around(database, ledger, proofs, keys, log, consents, revoking, packing, own, register)
    requests = Requests.of(settings, around)
    failures: Counter[tuple[str, str]] = Counter()
    mesh = _application(failures, log)
    mesh.include_router(consent_routes(consents, settings.max_body_bytes))
    mesh.include_router(revocation_routes(log, revoking, pops, settings.max_wait_s, settings.max_body_bytes))
    mesh.include_router(policy_routes(policies, pops, settings.max_body_bytes, settings.max_bundle_bytes))
    mesh.include_router(kept_routes(collecting))
    mesh.include_router(key_routes(keys, log, clock, renewing))
    mesh.include_router(federated_routes(federated))
    mesh.include_router(attester_routes(attesters, settings.max_body_bytes))
    mesh.include_router(evidence_routes(packing))
    mesh.include_router(request_routes(requests, settings.max_body_bytes))
    mesh.include_router(own_request_routes(requests, settings.max_body_bytes))
    public = _application(failures, log)
    edge_states = EdgeStates(log, policies, keys, clock)
    for application in (mesh, public):
        application.include_router(edge_state_routes(edge_states))
        application.include_router(ledger_routes(ledger))
    invitations = Invitations(database, clock)
    joining = Joining(settings.data, invitations, keys.trust_file, clock, settings.joined_svid_ttl_s)
    mesh.include_router(enrolment_routes(invitations, joining, settings.components))
    public.include_router(joining_routes(joining))
    mesh.include_router(visitor_routes(database))
    documents.install(public, mesh)
    warn_unless_named(policies.clause(CLAUSE), settings.proof_kept_days, settings.backups_kept_days)
    return ControlPlane(
        settings,
        keys,
        database,
        ledger,
        proofs,
        attesters,
        log,
        policies,
        pops,
        consents,
        revoking,
        restoring,
        collecting,
        federated,
        own,
        requests,
        public,
        mesh,
        failures,
    )


def _own(
    settings: Settings, keys: KeyStore, attesters: Attesters, erasing: Erasing, policies: Policies, ledger: Ledger
) -> OwnAttester:
    """This control plane as a place that attests."""
    name = str(SpiffeId.of(keys.trust_file().trust_domain, "control-plane", settings.name))

    def heads() -> dict[str, str]:
        return {writer: trail.head().text for writer, trail in erasing.trails.items()}

    around = Surroundings(policies.in_force, heads, ledger.seen)
    return OwnAttester(name, settings.home, attesters.endorsing, attesters.statements, erasing, around)


def _application(failures: Counter[tuple[str, str]], log: RevocationLog) -> FastAPI:
    """An application that answers failures our way and serves no documentation of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    def count(family: str, code: str) -> None:
        failures[(family, code)] += 1

    errors.install(app, count)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        standing = log.standing()
        return {"status": "ok" if standing == SERVING else f"log-{standing}"}

    return app
