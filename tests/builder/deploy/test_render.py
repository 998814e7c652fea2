"""What is rendered for each edge: by schema, by the edges' own tools, and never with more than one way out."""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from builder.deploy.origin import Origin
from builder.deploy.reference import Reference
from builder.deploy.release import open_release
from builder.deploy.render import SECRETS, Setting, public_variables, render
from builder.deploy.writing import write_target
from consent_core.errors import Rejected
from tests.builder.deploy.releases import PERSONALIZATION, make_release
from tests.conftest import ROOT

CONTROL_PLANE = "https://control.example:7443"
IMAGE = f"registry.example/shop/edge_http@sha256:{'a' * 64}"
TOOLS = Path(sys.executable).parent


@pytest.fixture
def setting(trust):
    """A deployment in the EU, with everything that can be said."""
    site = '{"copies":["Don\'t wait, <b>\\"now\\"</b> – été $HOME"]}'.encode()
    variables = public_variables(trust, jurisdiction="EU", geo_header="x-geo", site=site)
    return Setting(Origin.parse(CONTROL_PLANE), variables, Reference.parse(IMAGE), ("203.0.113.7", "2001:db8::7"))


def check(value, schema):
    """Validate by one of our schemas."""
    definition = json.loads((ROOT / f"deploy/schemas/{schema}.schema.json").read_text())
    jsonschema.Draft202012Validator(definition).validate(value)


def test_spin_may_call_the_control_plane_alone(release, setting):
    """By schema, and the values arrive as they were."""
    manifest = tomllib.loads(render("spin", release, setting)["spin.toml"])
    check(manifest, "spin-manifest-v2")
    component = manifest["component"]["edge-http"]

    assert component["allowed_outbound_hosts"] == [CONTROL_PLANE]
    assert component["environment"] == {"CONSENT_EDGE_CONTROL_PLANE": CONTROL_PLANE, **setting.variables}


def test_wasmcloud_may_call_the_control_plane_alone(release, setting):
    """Both files by schema; left out, `allowedHosts` of the first would mean every host."""
    files = render("wasmcloud", release, setting)
    config = yaml.safe_load(files[".wash/config.yaml"])
    deployment = yaml.safe_load(files["workload-deployment.yaml"])
    check(config, "wash-config")
    check(deployment, "workload-deployment")
    [component] = deployment["spec"]["template"]["spec"]["components"]

    assert config["workload"]["allowedHosts"] == component["localResources"]["allowedHosts"] == [CONTROL_PLANE]
    assert config["workload"]["environment"]["config"] == component["localResources"]["environment"]["config"]
    assert component["image"] == IMAGE


def test_wash_itself_accepts_its_configuration(release, setting, tmp_path):
    """The real tool reads what we wrote, and reads one allowed host."""
    write_target("wasmcloud", release, setting, tmp_path)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], **dict.fromkeys(SECRETS, "x")}
    for command in ("validate", "show"):
        done = subprocess.run(
            [TOOLS / "wash", "config", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

    assert yaml.safe_load(done.stdout)["workload"]["allowedHosts"] == [f"{CONTROL_PLANE}/"]


def test_wasmtime_is_held_to_the_control_plane_by_the_kernel(release, setting):
    """It has no list of its own, so the unit filters by address; a fresh instance serves each request."""
    files = render("wasmtime", release, setting)
    unit = files["consent-edge-edge-http.service"].splitlines()

    assert [line for line in unit if line.startswith("IPAddress")] == [
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        "IPAddressAllow=203.0.113.7",
        "IPAddressAllow=2001:db8::7",
    ]
    assert "--max-instance-reuse-count 1 " in files["serve.sh"]
    assert "tcp=n,udp=n,allow-ip-name-lookup=n,inherit-network=n,inherit-env=n" in files["serve.sh"]
    assert "--dir" not in files["serve.sh"]


def test_wasmtime_itself_accepts_its_options(release, setting, tmp_path):
    """The script with the real wasmtime: it gets as far as the component, which has no `handle` to call."""
    write_target("wasmtime", release, setting, tmp_path)
    environment = {"PATH": os.environ["PATH"], "WASMTIME": str(TOOLS / "wasmtime"), **dict.fromkeys(SECRETS, "x")}
    script = f"set -a; . {tmp_path}/edge-http.env; exec {tmp_path}/serve.sh"
    done = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, timeout=300)

    assert (done.returncode, "incoming-handler" in done.stderr) == (1, True), done.stderr


def test_an_environment_file_says_what_was_meant(release, setting, tmp_path):
    """Quotes, dollars and letters from elsewhere survive the shell."""
    write_target("wasmtime", release, setting, tmp_path)
    script = f"set -a; . {tmp_path}/edge-http.env; exec env"
    said = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    values = dict(line.split("=", 1) for line in said.stdout.splitlines() if line.startswith("CONSENT_EDGE_"))

    assert values == {"CONSENT_EDGE_CONTROL_PLANE": CONTROL_PLANE, **setting.variables}
    assert json.loads(values["CONSENT_EDGE_SITE"])["copies"] == ['Don\'t wait, <b>"now"</b> – été $HOME']


def test_no_secret_is_written(release, setting):
    """Only their names are; trust.json goes out with the log's keys alone."""
    texts = [text for target in ("spin", "wasmcloud", "wasmtime") for text in render(target, release, setting).values()]

    assert [text for text in texts if any(f'{name}="' in text.replace('="…"', "") for name in SECRETS)] == []
    assert json.loads(setting.variables["CONSENT_EDGE_TRUST"])["keys"]["token"] == []


def test_a_key_value_store_is_asked_for_only_if_imported(tmp_path, store, trust, setting):
    """No capability that the component does not use."""
    release = open_release(
        make_release(tmp_path, store, imports=("wasi:keyvalue/store@0.2.0",)), trust, now=0, revoked=frozenset()
    )
    spin = tomllib.loads(render("spin", release, setting)["spin.toml"])
    deployment = yaml.safe_load(render("wasmcloud", release, setting)["workload-deployment.yaml"])
    check(spin, "spin-manifest-v2")
    check(deployment, "workload-deployment")

    assert spin["component"]["edge-http"]["key_value_stores"] == ["default"]
    assert deployment["spec"]["template"]["spec"]["hostInterfaces"][1]["package"] == "keyvalue"


@pytest.mark.parametrize("target", ["spin", "wasmcloud", "wasmtime"])
def test_a_component_without_http_is_refused(tmp_path, store, trust, setting, target):
    """It would start and answer nothing."""
    place = make_release(
        tmp_path, store, name="personalization", world="edge-personalization", exports=(PERSONALIZATION,)
    )

    with pytest.raises(Rejected, match="wasi:http") as caught:
        write_target(target, open_release(place, trust, now=0, revoked=frozenset()), setting, tmp_path / "out")
    assert caught.value.code == "deploy-world"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "url",
    [
        "control.example", "ftp://control.example", "https://", "https://*", "https://*.example", "http://control.example",
        "https://control.example/path", "https://a@control.example", "https://control.example?x=1", "https://a b",
        "https://control.example:99999", 'https://x"\n[evil]', "https://[::1", "https://UPPER_case",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused(url):
    """One host, spelled out: an allow-list entry is made of it."""
    with pytest.raises(Rejected) as caught:
        Origin.parse(url)
    assert caught.value.code == "deploy-control-plane"


def test_wasmtime_needs_addresses(release, setting):
    """A name cannot be filtered by address; a machine's own address needs nothing."""
    with pytest.raises(Rejected) as caught:
        render("wasmtime", release, replace(setting, addresses=()))
    assert caught.value.code == "deploy-egress"

    with pytest.raises(Rejected):
        render("wasmtime", release, replace(setting, addresses=("0.0.0.0/0",)))
    local = replace(setting, control_plane=Origin.parse("http://127.0.0.1:7000"), addresses=())
    assert "IPAddressAllow=127" not in render("wasmtime", release, local)["consent-edge-edge-http.service"]


def test_wasmtime_listens_on_this_machine_alone(release, setting):
    """A front end ends TLS; the address filter would shut the world out anyway."""
    with pytest.raises(Rejected) as caught:
        render("wasmtime", release, replace(setting, listen="0.0.0.0:80"))
    assert caught.value.code == "deploy-listen"


def test_wasmcloud_pulls_by_digest(release, setting):
    """A tag may mean something else tomorrow."""
    for image in (None, Reference.parse("registry.example/shop/edge_http:1.0.0")):
        with pytest.raises(Rejected) as caught:
            render("wasmcloud", release, replace(setting, image=image))
        assert caught.value.code == "deploy-image"


@pytest.mark.parametrize("geo_header", ["a b", "x'y", "x\ny", ""])
def test_a_header_name_with_anything_odd_is_refused(trust, geo_header):
    """It goes into a shell file."""
    if geo_header:
        with pytest.raises(Rejected) as caught:
            public_variables(trust, geo_header=geo_header)
        assert caught.value.code == "deploy-variable"
    else:
        assert "CONSENT_EDGE_GEO_HEADER" not in public_variables(trust, geo_header=geo_header)
