"""A POP on another machine, from `docs/production.md`: two folders that share nothing, and one code between them."""

import json
from pathlib import Path

import httpx
import pytest
import typer
from rich.console import Console

from edge_cli.edge import app
from fleet.ports import free_ports
from fleet.processes import Fleet, Member
from fleet.project import ART, SHOP, prepare
from tests.conftest import ROOT

SAME_SITE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The machine with the control plane, and no POP on it."""
    place = tmp_path_factory.mktemp("first")
    stage = prepare(place / "data", place / "components", Console(quiet=True))
    (place / "plane.toml").write_text(f'components = "{stage.components}"\n')
    with Fleet(stage.data, [], site=SHOP / "site", plane_options=("--config", str(place / "plane.toml"))) as running:
        yield running


@pytest.fixture
def second(tmp_path):
    """The other machine's folder."""
    return tmp_path / "second"


def invited(edge, first, pop="paris-1"):
    """A code, as the operator reads it."""
    arguments = ("--data", first.data, "--control-plane", first.mesh_url, "--as", "ann", "--json")
    said = edge("enrol", "invite", pop, *arguments)
    assert said.code == 0, said.err
    return said.json["code"]


def joined(edge, first, second, code, *more):
    """`edge enrol join` in the second folder."""
    addresses = ("--from", first.control_plane_url, "--control-plane", first.mesh_url)
    places = ("--data", second / "data", "--components", second / "components")
    return edge("enrol", "join", code, *addresses, *places, *more, "--json")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_pop_joins_from_another_folder_and_personalises(edge, first, second):
    """Identity, trust file, rendition key and components come over the wire; a yes given there is recorded here."""
    said = joined(edge, first, second, invited(edge, first))
    assert said.code == 0, said.err
    public, mesh, admin = free_ports(3)
    arguments = [
        "pop", "paris-1", "--data", str(second / "data"), "--components", str(second / "components"),
        "--control-plane", first.mesh_url, "--jurisdiction", "EU", "--port", str(public), "--mesh-port", str(mesh),
        "--admin-port", str(admin), "--catalogue", str(SHOP / "catalogue.toml"), "--art", str(ROOT / ART),
        "--site", str(SHOP / "site"),
    ]  # fmt: skip
    pop = Member("paris-1", arguments, f"http://127.0.0.1:{admin}/readyz", second / "data" / "logs" / "pop.log")
    pop.start()
    try:
        pop.wait_ready(180)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{public}", headers=SAME_SITE, trust_env=False, timeout=60
        ) as browser:
            yes = browser.post("/v1/consent", content=json.dumps({"grant": ["contextual"]}))
            cookies = "; ".join(line.partition(";")[0] for line in yes.headers.get_list("set-cookie"))
            slot = browser.get("/v1/slots/home-hero?section=water&path=/", headers={"cookie": cookies})
    finally:
        pop.stop()

    assert (yes.status_code, slot.json()["category"]) == (200, "contextual")
    assert said.json["spiffe_id"] == "spiffe://ui-tools/edge/paris-1"
    assert {"consent_validation", "personalization"} <= set(said.json["components"])
    assert (second / "data" / "rendition.key").read_bytes() == (first.data / "rendition.key").read_bytes()


def test_the_second_folder_holds_no_authority(edge, first, second):
    """No signing key, no CA key: who takes that machine is one POP, and no more."""
    said = joined(edge, first, second, invited(edge, first), "--no-components")

    assert said.code == 0, said.err
    assert [name for name in files(second / "data") if not name.endswith(".lock")] == [
        "rendition.key", "svid/edge-paris-1/bundle.pem", "svid/edge-paris-1/cert.pem", "svid/edge-paris-1/joined",
        "svid/edge-paris-1/key.pem", "trust.json",
    ]  # fmt: skip
    assert (second / "data" / "svid" / "edge-paris-1" / "key.pem").stat().st_mode & 0o077 == 0
    assert (second / "data" / "rendition.key").stat().st_mode & 0o077 == 0


def test_a_used_code_leaves_nothing_behind(edge, first, second):
    """Refused with its code; the folder is not even made."""
    code = invited(edge, first)
    assert joined(edge, first, second / "one", code, "--no-components").code == 0
    again = joined(edge, first, second / "two", code, "--no-components")

    assert (again.code, again.json["error"]["code"]) == (1, "enrolment-refused")
    assert not (second / "two").exists()


@pytest.mark.parametrize("damage", ["personalization.wasm", "personalization.cwasm", "manifest.json"])
def test_a_component_that_is_not_signed_so_is_not_kept(edge, first, second, damage):
    """The control plane serves what somebody put into its folder; the trust file judges here."""
    place = first.data.parent / "components" / "personalization" / damage
    good = place.read_bytes()
    place.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        said = joined(edge, first, second, invited(edge, first))
    finally:
        place.write_bytes(good)

    assert said.code == 1
    assert said.json["error"]["code"].startswith(("component-", "json-"))
    assert not (second / "components" / "personalization").exists()


@pytest.mark.parametrize(("option", "named"), [("public", "--from"), ("mesh", "--control-plane")])
def test_a_wrong_address_names_its_option(edge, first, second, option, named):
    """Nobody answers there."""
    nowhere = f"http{'s' if option == 'mesh' else ''}://127.0.0.1:{free_ports(1)[0]}"
    addresses = {"--from": first.control_plane_url, "--control-plane": first.mesh_url, named: nowhere}
    code = invited(edge, first)
    flat = [part for pair in addresses.items() for part in pair]
    said = edge("enrol", "join", code, *flat, "--data", second / "data", "--components", second / "c", "--json")

    assert (said.code, said.json["error"]["code"]) == (1, "control-plane-unreachable")
    assert named in said.json["error"]["message"]


def edge_lines() -> list[list[str]]:
    """The `edge` lines of the page, in words."""
    page = (ROOT / "docs/production.md").read_text().splitlines()
    found = [line.partition("bin/")[2] if line.startswith("ExecStart=") else line for line in page]
    return [line.split("#")[0].split() for line in found if line.startswith("edge ")]


@pytest.mark.parametrize("words", edge_lines(), ids=" ".join)
def test_each_command_of_the_page_exists_with_its_options(words):
    """What a stranger copies is at least understood."""
    command, arguments = typer.main.get_command(app), words[1:]
    while hasattr(command, "commands"):
        name, command, arguments = command.resolve_command(typer.Context(command), arguments)
        assert command is not None, name
    command.make_context(command.name, arguments)
