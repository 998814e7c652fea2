"""What docs/policy.md tells is what the policy does."""

import re
import subprocess
from pathlib import Path

import pytest

from consent_core.formats.token import CATEGORIES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/policy.md").read_text("utf-8")
ROUTE = re.compile(r"^\| (GET|POST|PUT|DELETE) \| `([^`]+)` \| ([a-z, -]+) \| (.*)\|$", re.MULTILINE)
ROLES = ("edge", "control-plane", "device", "operator")


def call(method, path, role):
    region = f"{role}/tokyo-1" if path == "v1/attestations" else "tokyo-1"  # there it is the issuer of every line
    return {
        "method": method,
        "path": path.split("/"),
        "jwt": {"scopes": ["contextual"]},
        "request": {"payload": {"scope": "contextual"}, "region": region},
        "mtls": {"spiffe_id": f"spiffe://ui-tools/{role}/tokyo-1"},
    }


@pytest.mark.parametrize(("method", "path", "roles"), [row[:3] for row in ROUTE.findall(PAGE)])
def test_the_route_table_is_true(rego, method, path, roles):
    """Each row, for each role."""
    concrete = path.replace("{sub}", "c3ViamVjdA").replace("{pop}", "tokyo-1").replace("…", "x/y")
    allowed = {role for role in ROLES if rego.evaluate("personalization.authz.allow", call(method, concrete, role))}

    assert allowed == set(roles.strip().split(", "))


def test_the_route_table_is_complete(sources):
    """As many rows as the policy has routes."""
    routes = re.findall(
        r'^\t{1,2}"?[^\n]*"condition":', sources.modules["personalization/authz/authz.rego"], re.MULTILINE
    )

    assert len(ROUTE.findall(PAGE)) == len(routes) > 0


def test_the_law_table_is_true(table):
    """What is effective after notice, as told for each law."""
    for law in table.laws:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{law}`"))
        told = row.split("|")[-2]
        noticed = table.after_notice(law, False, "adult").categories

        assert ("everything" in told) == (noticed == CATEGORIES)
        assert ("nothing" in told) == (noticed == ())
        assert "everything" in told or {c for c in CATEGORIES if c in told} == set(noticed)


def test_the_hash_recipe_of_the_format_page_works(published, tmp_path):
    """The one-liner for a folder with the unpacked bundle gives the policy hash."""
    recipe = re.search(r"`(find \. .+ sha256sum)`", (ROOT / "docs/formats/policy-bundle.md").read_text("utf-8")).group(
        1
    )
    for path, content in published.bundle.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    printed = subprocess.run(["sh", "-c", recipe], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert f"sha256:{printed.split()[0]}" == published.bundle.hash
