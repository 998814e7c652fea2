"""The container recipe: what it copies exists, and what it starts runs without privileges."""

import re

from tests.conftest import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "deploy/Containerfile").read_text()).splitlines()
STEPS = [line.split(None, 1) for line in LINES if line and not line.startswith("#")]


def of(instruction):
    """What every step of a kind says."""
    return [rest for name, rest in STEPS if name == instruction]


def test_both_stages_are_plain_debian():
    """By image name alone: which registry that comes from is the builder's setting."""
    assert [rest.split()[0] for rest in of("FROM")] == ["debian:bookworm-slim"] * 2


def test_what_is_copied_exists():
    """A renamed folder shows here and not in somebody's build."""
    sources = [source for rest in of("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]]

    assert [source for source in sources if not (ROOT / source).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benches"}
    assert packages <= set(sources)


def test_it_runs_as_an_unprivileged_user():
    """The last stage ends as a numbered user, so that Kubernetes can see that it is not root."""
    assert of("USER") == ["10001:10001"]
    assert [name for name, _ in STEPS].index("USER") > [name for name, _ in STEPS].index("FROM", 1)


def test_packages_come_by_hash():
    """What was locked is what is installed; nothing is fetched by URL."""
    text = "\n".join(LINES)

    assert "--require-hashes -r requirements.lock" in text
    assert "://" not in text
    assert of("ADD") == []
