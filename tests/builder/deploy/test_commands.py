"""`edge deploy` from the shell's point of view."""

import json
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from builder.deploy.artefact import SBOM_TYPE, pack
from builder.deploy.layout import write_layout
from builder.deploy.release import open_release
from consent_core.trust.keys import KeyStore
from dev_server.pictures import paint_pictures
from edge_cli.edge import main
from runtime_host.wasm.loading import load_component
from tests.builder.deploy.releases import make_release
from tests.builder.deploy.test_registry import kind
from tests.conftest import ROOT

EDGE_NEEDS = (
    "--control-plane", "https://control.example", "--catalogue", "catalogue.toml", "--art", "art",
)  # fmt: skip


@pytest.fixture
def edge(workshop, monkeypatch, capsys):
    """Run the command line in the workshop. Returns the exit code and the JSON it printed."""
    monkeypatch.chdir(workshop)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge", "deploy", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().out
        return ended.value.code, json.loads(said) if said else None

    return run


@pytest.fixture
def workshop(tmp_path):
    """A folder with keys and one built component, as a user has it."""
    keys = KeyStore.open(tmp_path / ".edge", create=True)
    make_release(tmp_path / "build/components", keys, note=tmp_path.name)
    shutil.copy(ROOT / "edge_cli/templates/project/catalogue.toml.tmpl", tmp_path / "catalogue.toml")
    paint_pictures(tmp_path / "art")
    return tmp_path


def test_render_push_verify(edge, workshop, reference):
    """The way of a release; what arrives is what was built, and a foreign trust file refuses it with exit code 1."""
    assert edge("render", "--target", "spin", *EDGE_NEEDS, "--unreached", "--out", "out")[0] == 0
    assert (workshop / "out/edge_http.wasm").read_bytes() == (
        workshop / "build/components/edge_http/edge_http.wasm"
    ).read_bytes()
    code, pushed = edge("push", reference)
    assert code == 0
    code, verified = edge("verify", pushed["reference"], "--out", "pulled")
    assert (code, verified["directory"]) == (0, "pulled/edge_http")

    stranger = KeyStore.open(workshop / "stranger", create=True)
    (workshop / "foreign.json").write_bytes(stranger.trust_file().to_bytes())
    code, refused = edge("verify", reference, "--trust", "foreign.json")
    assert (code, refused["error"]["code"]) == (1, "component-signature")


def test_a_repository_of_another_component_is_a_usage_error(edge, reference):
    """What is pushed under a wrong name would be refused by everybody who asks for that name."""
    assert edge("push", f"{reference.host}/shop/personalization:1.0.0")[0] == 2


@pytest.fixture
def plane():
    """Something on a loopback port that answers one path, as a control plane's public listener does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/v1/edge-state" else 404)
            self.end_headers()

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def without(option):
    """What an edge needs but one option and its value."""
    return [part for name, value in zip(EDGE_NEEDS[::2], EDGE_NEEDS[1::2], strict=True) if name != option
            for part in (name, value)]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "code", "named"),
    [
        (without("--control-plane"), "deploy-control-plane", "--control-plane"),
        (without("--catalogue"), "deploy-catalogue", "--catalogue"),
        ([*EDGE_NEEDS, "--control-plane", "https://control.example:7443"], "deploy-control-plane", "mesh listener"),
        ([*EDGE_NEEDS, "--control-plane", "http://127.0.0.1:1"], "deploy-control-plane", "--unreached"),
    ],
    ids=["no control plane", "no catalogue", "the mesh port", "nobody there"],
)
def test_a_dead_edge_is_not_rendered(edge, workshop, given, code, named):
    """What it lacks is named by its option, and nothing is written."""
    status, said = edge("render", "--target", "spin", *given, "--out", "out")

    assert (status, said["error"]["code"]) == (1, code)
    assert named in said["error"]["message"]
    assert not (workshop / "out").exists()


def test_an_edge_is_rendered_for_a_control_plane_that_answers(edge, workshop, plane):
    """And not for something else that listens there."""
    assert edge("render", "--target", "spin", *EDGE_NEEDS, "--control-plane", plane, "--out", "out")[0] == 0
    assert plane in (workshop / "out/spin.toml").read_text()


def test_an_unknown_target_is_a_usage_error(edge):
    """Exit code 2, as for any wrong option."""
    assert edge("render", "--target", "lambda")[0] == 2


def test_a_real_component_goes_through_a_registry_and_loads(components, reference, registry, tmp_path):
    """The shipped function, 18 MB with an interpreter inside: pushed, verified, pulled, and loaded as a POP does."""
    from builder.deploy.push import push
    from builder.deploy.verify import verify

    release = open_release(components["personalization"], components.trust, now=0, revoked=frozenset())
    package = pack(release, (), components.store.current("component"), "1.0.0")
    verified = verify(
        push(package, reference, registry),
        components.trust,
        registry,
        out=tmp_path,
        now=0,
        revoked=frozenset(),
        name="personalization",
    )

    assert (
        load_component(verified.directory, components.trust, now=0, revoked=frozenset()).digest
        == release.manifest.component
    )
    assert len(json.loads(kind(package, SBOM_TYPE).blobs[1].content)["components"]) > 5
    assert write_layout(package, tmp_path / "layout", "personalization").is_file()
