"""One POP put together: stores, sync, caches, pipeline and the three listeners' applications.

    pop = build_pop(config, Parts(trust, catalogue, validator, personalizers, client))
    await pop.start()          # follow the control plane
    pop.public_app             # ASGI; so are mesh_app and admin_app
    await pop.stop()

Everything that touches the world outside is an argument: the clock, the client to the control plane, the functions.
`process` runs a POP behind real sockets; tests call its applications directly.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from consent_core.audit.recording import AuditMiddleware
from consent_core.audit.writer import AuditWriter
from consent_core.clock import Clock, SystemClock
from consent_core.decision.seams import Personalizer, Validator
from consent_core.errors import ConsentEdgeError
from consent_core.formats.rendition import RenditionKey
from consent_core.health.gauges import watch_room
from consent_core.http.answers import Answer
from consent_core.http.asgi import App
from consent_core.http.clients import Clients
from consent_core.policy.authorizer import PolicyInForce
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.numbers import write_numbers
from consent_core.trust.files import load_secret
from consent_core.trust.mesh import GuardSettings, MeshGuard
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import SvidSource
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.config import PopConfig
from runtime_host.pop.erasing import ErasedParts, erasing_of
from runtime_host.pop.evidence.assembly import AttestingParts, Surroundings, assemble, gather
from runtime_host.pop.evidence.erasing import Memory
from runtime_host.pop.evidence.task import EvidenceTask
from runtime_host.pop.heads import AuditHeads
from runtime_host.pop.health import Watch, WatchParts, lead_looks
from runtime_host.pop.images.cache import RenditionCache
from runtime_host.pop.images.gallery import CatalogueWatch, Gallery
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.pools import RenderPool, RenderThreads
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.metrics import Watched, push_forever, request_counts, watch
from runtime_host.pop.serving.admin import Admin, healthz
from runtime_host.pop.serving.cookies import CookieNames
from runtime_host.pop.serving.decisions import Decider
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.last_answers import LastAnswers
from runtime_host.pop.serving.mesh import Mesh
from runtime_host.pop.serving.pipeline import Counters, Pipeline, Rules
from runtime_host.pop.serving.rates import Rates
from runtime_host.pop.serving.recent import Recent
from runtime_host.pop.serving.recording import VisitAuditRecorder
from runtime_host.pop.serving.routes.consent import ConsentRoom, Neighbours, PopIdentity
from runtime_host.pop.serving.routes.measures import Limits, Measures
from runtime_host.pop.serving.routes.policy import PolicyPage, TrustPage, gpc
from runtime_host.pop.serving.routes.privacy import privacy_routes
from runtime_host.pop.serving.routes.site import Site
from runtime_host.pop.serving.routes.stream import Streams
from runtime_host.pop.serving.routing import Call, RequestCounts, Route, Router
from runtime_host.pop.serving.token_cache import TokenCache
from runtime_host.pop.serving.why import DecisionReceipts, SlotRoute
from runtime_host.pop.stores import Change, PopStore
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.sync import Sync, SyncConfig
from runtime_host.pop.sync.components import LOOK_EVERY_S, Components, Seal
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.policy import Open
from runtime_host.pop.sync.reports import Trails
from runtime_host.pop.sync.worker import WorkerSync
from runtime_host.pop.workers.channel import Lead, Message
from runtime_host.pop.workers.supervisor import Supervisor

STORE = "pop.db"  # below the home
MAX_ANSWERS = 10_000  # of the control plane, one a session, held to tell pages what holds
POP_KEY = "pop.key"
RENDITION_KEY = "rendition.key"  # in the data directory: all POPs of a deployment open each other's addresses


@dataclass(frozen=True, slots=True)
class Parts:
    """What a POP is made of besides its configuration. `personalizers`: by category; `sites`: URL prefix to directory.

    `client`: to the control plane's mesh listener, with base URL and identity settled; `audit`: this POP's trail, None
    to keep none; `retired`: trails of workers that this POP no longer has. The caller closes these.
    `supervisor`: the further workers that this process leads; `lead`: the process it works for. Neither: it is alone.
    """

    trust: TrustFile
    catalogue: LoadedCatalogue
    validator: Validator
    personalizers: Mapping[str, Personalizer]
    client: httpx.AsyncClient
    sites: Mapping[str, Path]
    sync: SyncConfig | None = None
    audit: AuditWriter | None = None
    retired: tuple[AuditWriter, ...] = ()
    supervisor: Supervisor | None = None
    lead: Lead | None = None
    seals: Mapping[str, Seal] = field(default_factory=dict)  # of the functions, by digest; they are judged again
    components: Mapping[str, str] = field(default_factory=dict)  # digest by name, of what decides here
    attesting: AttestingParts | None = None  # None: this process attests nothing
    renderers: RenderPool | None = None  # None: threads of this process
    gallery: Gallery | None = None  # where the catalogue is from; None: it never changes
    svid: SvidSource | None = None  # how this process shows itself on the mesh; None without a mesh
    opener: Open | None = None  # of policy bundles; None: `consent_core.policy.bundle.open_bundle`


class Pop:
    """A POP, assembled. Its attributes are for assembly and tests; requests go through the applications."""

    def __init__(self, config: PopConfig, parts: Parts, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.metrics = Metrics("consent-edge-pop", config.pop)
        self.supervisor = parts.supervisor
        self._parts = parts
        self._others = parts.supervisor or parts.lead
        self.shared_state = None if self._others is None else self._others.shared_state
        self.store = PopStore(config.home / STORE, clock, self.shared_state)
        self.heads = AuditHeads(config.pop, parts.audit, parts.retired, parts.supervisor)
        self.sync = self._link(self.shared_state)
        self.renderer = Renderer(
            parts.catalogue, RenditionCache(config.rendition_cache_bytes), parts.renderers or RenderThreads()
        )
        self._geo = None if config.geo_header is None else config.geo_header.lower().encode("ascii")
        self._tasks: list[asyncio.Task[None]] = []
        self.pipeline = self._pipeline()
        self.answers = LastAnswers(MAX_ANSWERS, self.store.revocations.is_erased)
        memory = Memory((self.answers, self.pipeline.tokens, self.pipeline.recent))
        erased = ErasedParts(memory, parts.audit, parts.retired, parts.supervisor)
        self.erasing = erasing_of(config.pop, erased, self.sync, self.store)
        self.components = Components(
            parts.seals, self.sync.trust, self.sync.trust_state.now, self.store.revocations.revoked_keys
        )
        self.pipeline.refusal = self.components.refusal
        self.evidence = self._attesting()
        self.clients = Clients.configured(config.trusted_proxies, config.host)
        self.watch = self._health()
        keys = (RenditionKey("k1", load_secret(config.data / RENDITION_KEY)),)
        self.delivery = Delivery(self.pipeline, parts.catalogue, self.renderer, keys, config.shared_cache_s)
        self.streams = Streams(
            lambda: self.sync.trust_state.generation, config.max_streams, config.stream_ping_s, self._tell_others
        )
        self.catalogue: CatalogueWatch | None = None
        if parts.gallery is not None:
            self.catalogue = CatalogueWatch(parts.gallery, parts.catalogue, self._adopt)
            self.watch.health.add(self.catalogue.health)
        self._watch()
        if self._others is not None:
            self._others.attend(self._hear)
        counts = request_counts(self.metrics)
        self.refused: Callable[[str], None] = counts.rejected.add
        recorder = None if parts.audit is None else VisitAuditRecorder(parts.audit, "public")
        self.public_app: App = Router(
            self._public_routes(), counts, self._geo, config.public_origins, recorder=recorder
        )
        admin = Admin(self.metrics, self._status, self._collect, self.watch.health)
        self.admin_app: App = Router(admin.routes, counts)
        mesh = self._guarded(counts)
        self.mesh_app: App = mesh
        if parts.audit is not None:
            self.mesh_app = AuditMiddleware(mesh, VisitAuditRecorder(parts.audit, "mesh"))

    async def start(self) -> None:
        """Begin to follow the control plane. Until its first answer everybody gets the default."""
        running = (self.sync.run(), self.streams.watch(), self.erasing.run(), self._judge_components(),
                   self.watch.run())  # fmt: skip
        self._tasks = [asyncio.create_task(task) for task in running]
        if self.evidence is not None and (parts := self._parts.attesting) is not None:
            gathering = gather(parts, self.config.pop, self._parts.client, self.store, self.sync.failures.count)
            self._tasks += [asyncio.create_task(task.run()) for task in (self.evidence, gathering)]
        if self.catalogue is not None and self._parts.lead is None:  # a worker hears of it
            self._tasks.append(asyncio.create_task(self.catalogue.run()))
        endpoint = self.config.otlp_endpoint
        if endpoint is not None and self._parts.lead is None:  # a worker's numbers are in its lead's
            pushing = push_forever(
                self.metrics, endpoint, self.config.otlp_every_s, self._collect, self.sync.failures.count
            )
            self._tasks.append(asyncio.create_task(pushing))

    async def stop(self) -> None:
        """End streams and periodic tasks, then close the stores. What was answered is on disk."""
        self.streams.close()
        if self.evidence is not None:
            await self.evidence.stop()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.renderer.close()
        self.store.close()

    def _attesting(self) -> EvidenceTask | None:
        """What attests this POP; None in a worker, and in a POP that is set not to attest."""
        parts = self._parts
        if parts.attesting is None:
            return None
        surroundings = Surroundings(
            self.config.home, self.store, self.sync.trust_state, self.clock, parts.client, self.sync.trust,
            self.heads.all, self._collect, self.sync.failures.count,
        )  # fmt: skip
        return assemble(parts.attesting, surroundings, self.config.attest_every_s)

    def _health(self) -> Watch:
        """What can be wrong with this process; a lead also says what is wrong with the POP."""
        parts, config = self._parts, self.config
        ill = WatchParts(config.home, self.clock, self.store, self.renderer, parts.audit, parts.svid, self.clients)
        watch = Watch(config.pop, ill)
        if isinstance(self.sync, Sync):
            watch.health.add(*lead_looks(self.sync, self.components, self.clock, self.supervisor))
            watch_room(self.metrics, config.home, parts.svid, self.clock)
            self.metrics.watch_each("consent_edge_health", lambda: watch.health.look().gauges())
        return watch

    def _link(self, shared_state: SharedState | None) -> Sync | WorkerSync:
        """To the control plane, or to the process that follows it."""
        config, parts = self.config, self._parts
        settings = parts.sync or SyncConfig(
            config.pop, config.home, config.trust_file, push=config.push, push_url=config.push_url
        )
        if parts.lead is not None:
            return WorkerSync(settings, self.store, parts.trust, parts.client, self.clock,
                           shared_state=parts.lead.shared_state, ask=parts.lead.send, opener=parts.opener)  # fmt: skip
        return Sync(settings, self.store, parts.trust, parts.client, self.clock, opener=parts.opener,
                    trails=Trails(self.heads.own, self.heads.workers), shared_state=shared_state)  # fmt: skip

    async def _judge_components(self) -> None:
        """Look every second whether what runs here still counts, until cancelled."""
        while True:
            with self._counted():
                await self.sync.look_at_trust()
            with self._counted():
                self.components.look()
            await asyncio.sleep(LOOK_EVERY_S)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """What cannot be read is counted, and looked at again later."""
        try:
            yield
        except ConsentEdgeError as error:
            self.sync.failures.count(error)

    def _hear(self, message: Message) -> None:
        """What another process of this POP says."""
        match message["kind"]:
            case "tell":
                self.streams.hear(message["subject"], message["reason"])
            case "catalogue" if self.catalogue is not None:
                self._tasks.append(asyncio.create_task(self.catalogue.load()))
            case "want-policy":
                self.sync.trust_state.request_sync()
            case "want-key":
                self.sync.fetches.request_key(message["kid"])
            case "numbers" if self._others is not None:
                told = {"numbers": write_numbers(self.metrics.numbers()), "head": self.heads.own()}
                self._others.send({"kind": "numbers", **told, "faults": dict(self.watch.health.look().faults)})

    def _adopt(self, catalogue: LoadedCatalogue) -> None:
        """Show this catalogue, and have the workers do so."""
        self.delivery.adopt(catalogue)
        if self.supervisor is not None:
            self.supervisor.send({"kind": "catalogue"})

    def _tell_others(self, subject: str, reason: str) -> None:
        if self._others is not None:
            self._others.send({"kind": "tell", "subject": subject, "reason": reason})

    def _pipeline(self) -> Pipeline:
        config, metrics = self.config, self.metrics
        rules = Rules(
            issuer=self._parts.trust.issuer,
            leeway_s=config.token_leeway_s,
            jurisdiction=config.jurisdiction,
            geo_header=self._geo,
            cookie=CookieNames.choose(config.secure_cookies).token,
            pop_key=load_secret(config.home / POP_KEY),
        )
        counters = Counters(
            decisions=metrics.counter("consent_edge_decisions"),
            defaults=metrics.counter("consent_edge_defaults"),
            rejected=metrics.counter("consent_edge_rejected"),
            unavailable=metrics.counter("consent_edge_unavailable"),
            decision_seconds=metrics.histogram("consent_edge_decision_seconds"),
            sandbox_seconds=metrics.histogram("consent_edge_sandbox_seconds"),
        )
        return Pipeline(
            rules,
            self.sync.trust_state,
            self._parts.validator,
            TokenCache(config.token_cache_entries, self.store.revocations.is_erased),
            Decider(self._parts.personalizers, config.decision_memo_entries),
            Recent(self.store.history, self.clock),
            counters,
        )

    def _public_routes(self) -> tuple[Route, ...]:
        config = self.config
        plane = ControlPlane(self._parts.client, config.control_plane_timeout_s)
        cookies = CookieNames.choose(config.secure_cookies)
        here = PopIdentity(config.pop, config.jurisdiction, self._geo, cookies, config.age_band)
        rates = Rates(self.clock.elapsed)
        near = Neighbours(self.clock, self.pipeline, self.delivery, self.store, self.sync.outgoing, plane,
                          self.streams, self.answers, self.clients, rates)  # fmt: skip
        consent = ConsentRoom(here, near)
        measures = Measures(self.pipeline, self.store, lambda: self.delivery.stock.places, self.metrics,
                            Limits(config.max_body_bytes, self.clients, rates))  # fmt: skip
        name = str(SpiffeId(self._parts.trust.trust_domain, ("edge", config.pop)))
        receipts = DecisionReceipts(name, config.home, self.pipeline, self.store.attested)
        return (
            Route("images", "/v1/images/", {"GET": self._image}),
            Route("renditions", "/v1/renditions/", {"GET": self._rendition}),
            Route("slots", "/v1/slots/", {"GET": SlotRoute(self.delivery, receipts, config.home).get}),
            *consent.routes(),
            *privacy_routes(here, consent.asker, plane),
            Route(
                "policy", "/v1/policy", {"GET": PolicyPage(self.sync.trust_state, config.jurisdiction, self._geo).get}
            ),
            Route("gpc", "/.well-known/gpc.json", {"GET": gpc}),
            Route("trust", "/v1/trust", {"GET": TrustPage(self.sync.trust).get}),
            Route("events", "/v1/events", {"POST": measures.events}),
            Route("vitals", "/v1/vitals", {"POST": measures.vitals}),
            Route("healthz", "/healthz", {"GET": healthz}),
            Route("site", "/", {"GET": Site(self._parts.sites).get}),
        )

    async def _image(self, call: Call) -> Answer:
        return await self.delivery.image(call.tail, call.query, call.headers, call.context)

    async def _rendition(self, call: Call) -> Answer:
        return await self.delivery.rendition(call.scope["raw_path"], call.query, call.headers)

    def _guarded(self, counts: RequestCounts) -> App:
        """The mesh listener behind its guard, which authorises by the policy bundle in force."""
        config = self.config
        mesh = Mesh(config.pop, self.pipeline, self.delivery, self.sync.hint, config.max_body_bytes)
        settings = GuardSettings(
            trust_domain=self._parts.trust.trust_domain,
            clock=self.clock,
            authorize=PolicyInForce(lambda: self.sync.trust_state.policy),
            revoked=self.store.revocations.revoked_keys,
            token_scopes=mesh.scopes,
            refused=counts.rejected.add,
        )
        return MeshGuard(Router(mesh.routes, counts), settings)

    def _status(self) -> Mapping[str, Any]:
        """How the POP stands; with several workers, how many of them serve too."""
        distrusted, renderers = dict(self.components.refused), self.renderer.status()
        status = {**asdict(self.sync.status()), "distrusted": distrusted, "renderers": renderers,
                  "catalogue": self._catalogue_faults()}  # fmt: skip
        return status if self.supervisor is None else {**status, "workers": self.supervisor.status()}

    def _catalogue_faults(self) -> dict[str, str]:
        return {} if self.catalogue is None else dict(self.catalogue.faults)

    async def _collect(self) -> None:
        """Before a scrape: what the workers have counted."""
        if self.supervisor is not None:
            await self.supervisor.collect()

    def _watch(self) -> None:
        """Show at each scrape what others count, and note how long changes took to arrive."""
        watch(self.metrics, Watched(self.pipeline, self.renderer, self.streams, self.sync, self.supervisor,
                                    lambda: len(self._catalogue_faults())))  # fmt: skip
        delay = self.metrics.histogram("consent_edge_consent_sync_delay_seconds")

        def arrived(change: Change) -> None:
            if change.seq is not None:
                delay.observe(max(0.0, self.clock.now() - change.at), change.kind)
            if change.kind in ("session", "purge"):
                self.pipeline.recent.forget(change.subject)
            if change.kind == "purge":
                self.erasing.purged(change.subject)
            if change.kind == "key":
                with self._counted():
                    self.components.look()
            self.streams.look()

        self.sync.changes.subscribe(arrived)


def build_pop(config: PopConfig, parts: Parts, clock: Clock | None = None) -> Pop:
    """Assemble a POP. Opens its stores; nothing is fetched and nothing listens yet."""
    return Pop(config, parts, clock or SystemClock())
