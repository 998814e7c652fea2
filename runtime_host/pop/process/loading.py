"""Everything a process of a POP is given, opened and verified before it listens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consent_core.audit.verify import is_trail_of
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import Clock, SystemClock
from consent_core.formats.token import CATEGORIES
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import SvidSource, open_source
from consent_core.trust.trust_file import TrustFile
from runtime_host.pop.app import STORE, Parts
from runtime_host.pop.config import PopConfig
from runtime_host.pop.evidence.assembly import AttestingParts
from runtime_host.pop.images.gallery import Gallery, Originals
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.processes import RenderProcesses
from runtime_host.pop.stores import PopStore
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.loading import LoadedComponent, load_component
from runtime_host.wasm.sandbox import SandboxPool

PICTURES = "pictures"  # below the home


@dataclass(frozen=True, slots=True)
class PopPlaces:
    """Where a POP finds what it is given, besides the data directory. `sites`: URL prefix to directory.

    `functions` decide for the categories that their manifests name; `personalization` for the rest.
    `endpoint_socket`: the SPIFFE Workload API, None for SVIDs of the data directory. `key_provider_token`: for OpenBao.
    """

    catalogue: Path
    art: Path
    components: Path
    functions: tuple[str, ...] = ()
    sites: Mapping[str, Path] = field(default_factory=dict)
    endpoint_socket: str | None = None
    key_provider_token: str | None = None


@dataclass(frozen=True, slots=True)
class OpenGallery:
    """A gallery, what was loaded from it, and the pool that checks and renders."""

    pool: RenderProcesses
    gallery: Gallery
    loaded: LoadedCatalogue


@dataclass(frozen=True, slots=True)
class Identity:
    """How this POP shows itself on the mesh, and whom it believes."""

    source: SvidSource
    clock: Clock

    def client(self, base_url: str) -> httpx.AsyncClient:
        """A client that talks to the control plane alone."""
        return mesh_client(self.source, self.clock, base_url, role="control-plane")


def identity_of(config: PopConfig, places: PopPlaces, trust: TrustFile, clock: Clock) -> Identity:
    """Of a process of this POP; each has an SVID of its own."""
    name = SpiffeId(trust.trust_domain, ("edge", config.pop))
    source = open_source(
        config.data, name, endpoint_socket=places.endpoint_socket, ttl_s=config.svid_ttl_s, clock=clock
    )
    return Identity(source, clock)


def open_audit(config: PopConfig, places: PopPlaces, clock: Clock, worker: int = 1) -> AuditWriter:
    """The audit trail of one of this POP's workers; the first one's has the POP's own name.

    Raises: Unavailable: who cannot record does not start.
    """
    provider = open_provider(config.key_provider, config.data, places.key_provider_token)
    limits = AuditLimits(keep_days=config.audit_keep_days)
    trail = config.pop if worker == 1 else f"{config.pop}.w{worker}"
    return AuditWriter.open(config.data / "audit" / "edge" / trail, f"edge/{trail}", provider, clock, limits)


def open_retired(config: PopConfig, places: PopPlaces, clock: Clock) -> tuple[AuditWriter, ...]:
    """Trails of workers that this POP had more of: visitors who are erased must be shredded in them too."""
    trails = (config.data / "audit" / "edge").glob(f"{config.pop}.w*")
    numbers = sorted(int(trail.name.rpartition(".w")[2]) for trail in trails if is_trail_of(trail.name, config.pop))
    return tuple(open_audit(config, places, clock, number) for number in numbers if number > config.workers)


def revoked_keys(config: PopConfig, clock: Clock) -> frozenset[str]:
    """The keys that the log took away, as far as this POP had read it when it last ran. Raises: Unavailable."""
    with PopStore(config.home / STORE, clock) as store:
        return store.revocations.revoked_keys()


async def open_gallery(config: PopConfig, places: PopPlaces, worker: int = 1) -> OpenGallery:
    """This POP's pictures, checked, and the processes that do it; the first worker tidies up. Raises: Rejected."""
    pool = RenderProcesses(config.renderers_each)
    originals = Originals(places.catalogue, places.art)
    gallery = Gallery(config.home / PICTURES, originals, pool, owner=worker == 1)
    try:
        return OpenGallery(pool, gallery, await gallery.load())
    except BaseException:
        await pool.close()
        raise


def load_parts(
    places: PopPlaces, trust: TrustFile, client: httpx.AsyncClient, revoked: frozenset[str], pictures: OpenGallery
) -> Parts:
    """The verified components, the checked catalogue and the client. `revoked`: keys that the log took away.

    Raises: Untrusted, Rejected.
    """
    loaded: list[LoadedComponent] = []

    def load(directory: Path) -> LoadedComponent:
        loaded.append(load_component(directory, trust, SystemClock().now(), revoked))
        return loaded[-1]

    validator = ConsentValidator(SandboxPool(load(places.components / "consent_validation")))
    personalizers = load_personalizers(places, load)
    return Parts(
        trust=trust,
        catalogue=pictures.loaded,
        gallery=pictures.gallery,
        renderers=pictures.pool,
        validator=validator,
        personalizers=personalizers,
        client=client,
        sites=places.sites,
        seals={component.digest: component.seal for component in loaded},
        components={component.manifest.name: component.manifest.component for component in loaded},
    )


def attesting_parts(
    config: PopConfig, places: PopPlaces, trust: TrustFile, components: Mapping[str, str]
) -> AttestingParts:
    """What this POP attests with, for the process that leads it. Raises: Unavailable("key-provider")."""
    spiffe_id = str(SpiffeId(trust.trust_domain, ("edge", config.pop)))
    provider = open_provider(config.key_provider, config.data, places.key_provider_token)
    return AttestingParts(spiffe_id, components, config.data / "audit" / "edge", provider)


def load_personalizers(places: PopPlaces, load: Callable[[Path], LoadedComponent]) -> dict[str, Personalizer]:
    """Who decides for each category: the last function named that is for it. Raises: Untrusted."""
    deciding: dict[str, Personalizer] = {}
    for name in places.functions:
        loaded = load(places.components / name)
        deciding |= dict.fromkeys(loaded.category, Personalizer(SandboxPool(loaded)))
    if len(deciding) < len(CATEGORIES):
        shipped = Personalizer(SandboxPool(load(places.components / "personalization")))
        deciding = dict.fromkeys(CATEGORIES, shipped) | deciding
    return deciding
