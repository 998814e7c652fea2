"""A real registry on a loopback port, and small signed releases."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import stamina

from builder.deploy.artefact import pack
from builder.deploy.reference import Reference
from builder.deploy.registry import Registry
from builder.deploy.release import open_release
from consent_core.trust.keys import KeyStore
from fleet.ports import free_port
from tests.builder.deploy.releases import make_release

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""


@dataclass(frozen=True)
class Running:
    """A registry process. `root`: where it keeps what it was given, for whoever breaks into it."""

    host: str
    root: Path

    def reference(self, name: str, tag: str = "1.0.0") -> Reference:
        return Reference.parse(f"{self.host}/shop/{name}:{tag}")

    def blob(self, digest: str) -> Path:
        hexes = digest.removeprefix("sha256:")
        return self.root / "docker/registry/v2/blobs/sha256" / hexes[:2] / hexes / "data"

    def tag_link(self, name: str, tag: str) -> Path:
        return self.root / f"docker/registry/v2/repositories/shop/{name}/_manifests/tags/{tag}/current/link"


def start_registry(directory: Path, auth: str = "") -> tuple[Running, subprocess.Popen]:
    port = free_port()
    config = directory / "config.yml"
    config.write_text(CONFIG.format(root=directory / "store", port=port, auth=auth))
    process = subprocess.Popen([shutil.which("docker-registry"), "serve", config], stderr=subprocess.DEVNULL)
    for attempt in stamina.retry_context(on=httpx.TransportError, attempts=None, timeout=120, wait_initial=0.05):
        with attempt:
            httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False)
    return Running(f"127.0.0.1:{port}", directory / "store"), process


@pytest.fixture(autouse=True, scope="session")
def _quiet_retries():
    stamina.instrumentation.set_on_retry_hooks([])


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory):
    """Debian's docker-registry."""
    running, process = start_registry(tmp_path_factory.mktemp("registry"))
    yield running
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Our keys."""
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture(scope="session")
def trust(store):
    """What verifiers hold."""
    return store.trust_file()


@pytest.fixture
def release(tmp_path, store, trust, request):
    """A small component for other hosts, another one in each test: registries keep equal blobs once."""
    place = make_release(tmp_path / "built", store, imports=("wasi:io/error@0.2.0",), note=request.node.name)
    return open_release(place, trust, now=0, revoked=frozenset())


@pytest.fixture
def package(release, store):
    """The same, packed."""
    return pack(release, (), store.current("component"), "1.0.0")


@pytest.fixture
def registry(registry_server, request):
    """A client of one repository, a fresh one for each test."""
    with Registry(registry_server.reference(repository_of(request))) as client:
        yield client


@pytest.fixture
def reference(registry_server, request):
    """Where this test pushes to."""
    return registry_server.reference(repository_of(request))


def repository_of(request) -> str:
    """A repository of `edge_http` for each test."""
    return request.node.name.replace("[", "-").replace("]", "").strip("-_").lower() + "/edge_http"
