"""Compose and Kubernetes files: by schema, by the options the commands really have, and never more than is needed."""

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import typer
import yaml

from edge_cli.edge import app
from fleet.capacity import Demand, Measured, worker_mib
from tests.conftest import ROOT

COMPOSE = ROOT / "deploy/compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
OBJECTS = [value for path in MANIFESTS for value in yaml.safe_load_all(path.read_text())]
OURS = "consent-edge:"


def pods():
    """Every pod template, by name."""
    return {o["metadata"]["name"]: o["spec"]["template"] for o in OBJECTS if o["kind"] in ("Deployment", "StatefulSet")}


def containers(pod):
    """All containers of a template, those before the start included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def accepted(arguments):
    """Raise unless `edge` knows this command and every option of it."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(command.name, [str(argument) for argument in arguments])


def mib(text):
    """Kubernetes' or Compose's spelling of an amount of memory."""
    number, unit = text.rstrip("iBb")[:-1], text.rstrip("iBb")[-1]
    return int(number) * {"m": 1, "M": 1, "g": 1024, "G": 1024}[unit]


def test_the_compose_file_fits_its_specification():
    """By check-jsonschema and the schema it carries."""
    tool = Path(sys.executable).parent / "check-jsonschema"
    subprocess.run([tool, "--builtin-schema", "vendor.compose-spec", COMPOSE], check=True, capture_output=True)


@pytest.mark.parametrize("value", OBJECTS, ids=[f"{o['kind']}-{o['metadata']['name']}" for o in OBJECTS])
def test_the_kubernetes_files_fit_the_api(value):
    """Strictly: an unknown field is an error, as a misspelt security setting would be silently ignored."""
    assert kubernetes_validate.validate(value, kubernetes_validate.latest_version(), strict=True)


def test_there_is_everything_a_deployment_needs():
    """And every object lies in the one namespace."""
    kinds = {o["kind"] for o in OBJECTS}

    assert kinds >= {"Deployment", "StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget", "Namespace"}
    assert {o["metadata"].get("namespace", "-") for o in OBJECTS if o["kind"] != "Namespace"} == {"consent-edge"}


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["image"].startswith(OURS)])
def test_compose_uses_options_that_exist(name):
    """The command line itself reads them."""
    accepted(SERVICES[name]["command"])


def test_kubernetes_uses_options_that_exist():
    """The same; what Kubernetes would put in is put in."""
    for pod in pods().values():
        for container in containers(pod):
            if "args" in container:
                accepted([{"$(POP)": "frankfurt-0"}.get(part, part) for part in container["args"]])


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["image"].startswith(OURS)])
def test_our_services_are_locked_down(name):
    """Unprivileged, read-only, without capabilities, published on this machine alone."""
    service = SERVICES[name]

    assert service["user"] == "10001:10001"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_database_is_reached_by_the_control_plane_alone():
    """POPs have no network with it, and it has none with the world."""
    there = {name for name, service in SERVICES.items() if "database" in service.get("networks", [])}
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]

    assert there == {"postgres", "control-plane"}
    assert networks["database"] == networks["mesh"] == {"internal": True}


@pytest.mark.parametrize("name", pods())
def test_pods_are_locked_down(name):
    """What Kubernetes' restricted profile asks for, and a read-only file system and no token besides."""
    pod = pods()[name]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(pods()[name]):
        allowed = container["securityContext"]
        assert (allowed["allowPrivilegeEscalation"], allowed["readOnlyRootFilesystem"]) == (False, True)
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", pods())
def test_probes_and_services_meet_ports_that_are_there(name):
    """By name; every service selects the pods it is for."""
    template = pods()[name]
    [container] = template["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    labels = template["metadata"]["labels"]
    probes = [container[kind] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
    services = [
        o["spec"] for o in OBJECTS if o["kind"] == "Service" and o["spec"]["selector"].items() <= labels.items()
    ]

    assert {probe["httpGet"]["port"] for probe in probes if "httpGet" in probe} <= ports
    assert services
    assert {port["targetPort"] for service in services for port in service["ports"]} <= ports


def test_a_pop_leaves_service_only_for_what_is_broken_there_alone():
    """`/readyz` opens the door and closes it again; a control plane that all POPs lose together is no reason."""
    [container] = pods()["frankfurt"]["spec"]["containers"]

    for probe in ("startupProbe", "readinessProbe"):
        assert "127.0.0.1:8881/readyz" in container[probe]["exec"]["command"][-1]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_components_are_verified_before_a_pop_starts():
    """By init containers, from references that come from outside, into the folder that the POP reads only."""
    pod = pods()["frankfurt"]["spec"]
    verifying = [c for c in pod["initContainers"] if c.get("args", [])[:2] == ["deploy", "verify"]]
    [container] = pod["containers"]

    assert len(verifying) == 2
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["components"]["readOnly"] is True


def test_memory_follows_the_capacity_model():
    """At least what is measured idle is reserved, and what a worker can grow to is allowed."""
    measured = Measured()
    [pop] = pods()["frankfurt"]["spec"]["containers"]

    assert mib(pop["resources"]["requests"]["memory"]) >= measured.pop_idle_mib.value
    assert mib(pop["resources"]["limits"]["memory"]) >= worker_mib(Demand(), measured)
    assert mib(SERVICES["tokyo-1"]["mem_limit"]) >= worker_mib(Demand(), measured)


def test_nobody_speaks_with_anybody_unless_listed():
    """The default is no; POPs reach the control plane, names and a registry, and the control plane its database."""
    policies = {o["metadata"]["name"]: o["spec"] for o in OBJECTS if o["kind"] == "NetworkPolicy"}

    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    out = {name: [rule["ports"][0]["port"] for rule in policies[name]["egress"]] for name in ("pop", "control-plane")}
    assert out == {"pop": [7443, 443, 53], "control-plane": [5432, 8481, 53]}
    assert all("to" in rule for name in out for rule in policies[name]["egress"])


def test_no_secret_is_in_a_file():
    """Passwords and keys are references."""
    for path in [COMPOSE, *MANIFESTS]:
        assert not [o for o in yaml.safe_load_all(path.read_text()) if o.get("kind") == "Secret"]
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${CONSENT_EDGE_DB_PASSWORD:?")
