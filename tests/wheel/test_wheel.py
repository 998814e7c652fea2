"""The wheel in an environment of its own: a user's project that happens to hold folders named like ours."""

import json
import os
import shutil
import site
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fleet.ports import free_port
from tests.conftest import ROOT
from tests.consent_core.evidence.world import World

TRAP = "raise SystemExit('somebody else\\'s module was imported')\n"
NAMESAKES = ("builder", "consent_core", "simulator", "runtime_host", "demo")  # folders a user may well have
SHIPPED = (
    "consent_edge_data/functions/personalization/app.py",
    "consent_edge_data/functions/verifier/verifier.zig",
    "consent_edge_data/wit/world.wit",
    "consent_edge_data/policies/consent_edge/consent/consent.rego",
    "consent_edge_data/legal/clauses/policy-approval.md",
    "consent_edge_data/demo/catalogue.toml",
    "consent_edge_data/demo/art.py",
    "consent_edge_data/consent_sdk/consent-edge.js",
    "consent_edge_data/benches/budgets.toml",
    "consent_core/evidence/templates/verdict.html.j2",
    "runtime_host/pop/images/fonts/Manrope-Bold.ttf",
    "latency_gate/observe.js",
    "dev_server/page.html",
    "edge_cli/templates/project/catalogue.toml.tmpl",
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel, and a user's project beside it."""

    edge: Path
    project: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(self.edge), *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """No PYTHONPATH; build tools are found where the dependencies are."""
        tools = Path(sys.executable).parent
        return {"PATH": f"{self.edge.parent}:{tools}:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/tmp")}

    def run(self, *arguments: str) -> dict | list:
        done = subprocess.run(
            self.command(*arguments, "--json"),
            cwd=self.project,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The dependencies of this checkout's environment by a path file, which does not bring its editable install."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    packages = next((place / "venv" / "lib").glob("python*")) / "site-packages"
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    python = place / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    made = Environment(python.with_name("edge"), place / "shop")
    subprocess.run(made.command("new", "hello"), cwd=place, env=made.variables, check=True, capture_output=True)
    (place / "hello").rename(made.project)
    for name in NAMESAKES:
        (made.project / name).mkdir()
        (made.project / name / "__init__.py").write_text(TRAP)
    (made.project / "functions" / "mail").mkdir()
    (made.project / "functions" / "mail" / "main.py").write_text(TRAP)  # a cloud function, none of ours
    (made.project / "wit").mkdir()
    (made.project / "wit" / "own.wit").write_text("package own:thing;\n")
    cache = ROOT / "build" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "requirements.lock", made.project)
    (made.project / "build").mkdir()
    (made.project / "build" / "cache").symlink_to(cache)
    return made


def test_the_wheel_holds_what_is_no_package(wheel):
    """And nothing of the checkout that is not shipped."""
    names = zipfile.ZipFile(wheel).namelist()

    assert [name for name in SHIPPED if name not in names] == []
    tops = {name.split("/")[0] for name in names}
    assert tops.isdisjoint({"tests", "docs", "benches", "demo", "functions", "policies", "legal", "wit"})


def test_nothing_is_imported_from_the_checkout_or_the_project(environment):
    """Where a module comes from decides what runs."""
    code = "import builder, consent_core.resources as r, fleet.project; print(builder.__file__, r.ROOT)"
    python = environment.edge.with_name("python")
    done = subprocess.run(
        [python, "-P", "-c", code], cwd=environment.project, env=environment.variables, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    for path in done.stdout.split():
        assert Path(path).is_relative_to(environment.edge.parents[1])


def test_an_evidence_file_is_verified_by_who_has_the_wheel_alone(environment, tmp_path):
    """The file, the person's receipt and the trust file, in an environment that never saw the operator."""
    world = World(tmp_path).play()
    given = {
        "pack.json": world.sealed(world.pack()),
        "trust.json": world.trust.to_bytes(),
        "receipt.jwt": world.receipts[-1].encode(),
    }
    for name, content in given.items():
        (environment.project / name).write_bytes(content)
    options = ("--trust", "trust.json", "--receipt", "receipt.jwt", "--at", str(world.now + 60))
    verdict = environment.run("evidence", "verify", "pack.json", *options)

    assert (verdict["answered"], verdict["question"]) == (True, "deletion")
    environment.run("evidence", "html", "pack.json", *options, "--out", "pack.html")
    assert "proves nothing" in (environment.project / "pack.html").read_text()


def test_a_users_function_is_built_and_invoked(environment):
    """By the installed command, in the project's folder; the component answers as its Python does."""
    request = ("hello", "--request", "requests/forest.json")
    built = environment.run("build", "hello")
    component, native = environment.run("invoke", *request), environment.run("invoke", *request, "--native")

    assert [result["name"] for result in built] == ["hello"]
    assert built[0]["imports"] == []
    assert component["value"] == native["value"]
    assert component["value"]["asset"] == "forest"


def test_a_users_function_is_shown_beside_its_picture(environment):
    """The page of the loop, from the installed package."""
    command = environment.command("dev", "hello", "--port", "0", "--json")
    with subprocess.Popen(
        command, cwd=environment.project, env=environment.variables, stdout=subprocess.PIPE, text=True
    ) as loop:
        try:
            events = (json.loads(line) for line in loop.stdout)
            url = next(event["url"] for event in events if event["event"] == "ready")
            signals = {"page": {"path": "/", "section": "night", "tags": [], "language": "en"}}
            body = {"slot": "home-hero", "signals": signals, "entropy": 0}
            answer = httpx.post(f"{url}decide", json=body, trust_env=False, timeout=120).json()
            picture = httpx.get(f"{url}{answer['picture'].lstrip('/')}", trust_env=False, timeout=120)
        finally:
            loop.terminate()

    assert answer["native"]["value"]["asset"] == "night"
    assert picture.status_code == 200


def test_a_users_function_is_served_by_a_pop(environment):
    """Control plane and POP from the wheel, in the project's folder: its catalogue, its pictures, its function."""
    environment.run("build")
    control, mesh, public, admin = (free_port() for _ in range(4))
    plane = ("control-plane", "--public-port", str(control), "--mesh-port", str(mesh))
    pop = ("pop", "tokyo-1", "--jurisdiction", "JP", "--control-plane", f"https://127.0.0.1:{mesh}",
           "--port", str(public), "--mesh-port", str(free_port()), "--admin-port", str(admin))  # fmt: skip
    change = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    with (
        ExitStack() as stack,
        httpx.Client(base_url=f"http://127.0.0.1:{public}", trust_env=False, timeout=60) as client,
    ):
        start(stack, environment, plane, f"http://127.0.0.1:{control}/healthz")
        start(stack, environment, pop, f"http://127.0.0.1:{admin}/readyz")
        before = client.get("/v1/slots/home-hero?section=night&path=/").json()
        granted = client.post("/v1/consent", json={"grant": ["contextual"]}, headers=change)
        token = next(c for c in granted.headers.get_list("set-cookie") if "consent-token=" in c)
        bearer = {"authorization": f"Bearer {token.partition(';')[0].partition('=')[2]}"}
        after = client.get("/v1/slots/home-hero?section=night&path=/", headers=bearer).json()
        page = client.get("/").text

    assert (before["category"], before["asset"]) == ("default", "plain")
    assert (after["category"], after["asset"], after["copy"]) == ("contextual", "night", "Stay out late")
    assert "Shop" in page or "Hello" in page


def start(stack, environment, arguments, ready, patience_s=300.0):
    """One process until the end of the test. The bound is far above what a start takes."""
    log = stack.enter_context((environment.project / f"{arguments[0]}.log").open("w+"))
    process = subprocess.Popen(
        environment.command(*arguments), cwd=environment.project, env=environment.variables, stdout=log, stderr=log
    )
    stack.callback(process.wait, 120)
    stack.callback(process.terminate)
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        assert process.poll() is None, Path(log.name).read_text()
        try:
            if httpx.get(ready, trust_env=False, timeout=60).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(Path(log.name).read_text())
