"""Every setting of a process can be reached, from three places, and what cannot be used is refused by name."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_core.errors import Rejected
from control_plane.settings import Settings
from edge_cli.configuration import Sources, assigned, configured, explained, settable, template
from edge_cli.edge import app
from runtime_host.pop.config import PopConfig
from tests.conftest import ROOT

PREFIX = "EDGE_POP_"
GIVEN = {"pop": "tokyo-1", "data": Path(".edge")}
OTHER_POP = {  # a usable value for each field of PopConfig, other than its default
    "pop": "paris-1", "data": "elsewhere", "jurisdiction": "EU", "age_band": "child", "geo_header": "x-country",
    "control_plane": "https://127.0.0.1:9443", "workers": 2, "push": False, "host": "127.0.0.2", "public_port": 9081,
    "mesh_port": 9481, "admin_port": 9881, "secure_cookies": False, "public_origins": ("https://shop.example",),
    "trusted_proxies": ("10.0.0.0/8", "192.0.2.9"),
    "token_cache_entries": 9, "decision_memo_entries": 9, "rendition_cache_bytes": 9, "renderers": 1,
    "max_body_bytes": 9, "max_streams": 9, "stream_ping_s": 9.5, "token_leeway_s": 1, "control_plane_timeout_s": 1.5,
    "svid_ttl_s": 60, "key_provider": "aws-kms:key", "otlp_endpoint": "http://127.0.0.1:4318/v1/metrics",
    "otlp_every_s": 2.5, "push_url": "nats://127.0.0.1:4222", "audit_keep_days": 30, "attest_every_s": 5,
    "shared_cache_s": 60,
}  # fmt: skip
OTHER_PLANE = {  # the same for each field of Settings
    "data": "elsewhere", "database_url": "postgresql://127.0.0.1/consent", "policies": "rules", "legal": "law",
    "token_lifetime_s": 60, "consent_retention_s": 9, "session_entry_retention_s": 9, "max_body_bytes": 9,
    "max_bundle_bytes": 9, "max_wait_s": 9, "host": "127.0.0.2", "public_port": 7001, "mesh_port": 7444,
    "admin_port": 7900, "pop_pages": ("a=http://127.0.0.1:1/metrics", "b=http://127.0.0.1:2/metrics"),
    "maintain_every_s": 1.5, "name": "other", "number": 2, "spiffe_endpoint_socket": "/run/spire",
    "mutual_tls": False, "svid_ttl_s": 60, "joined_svid_ttl_s": 60, "components": "built",
    "key_provider": "aws-kms:key", "key_provider_token": "token", "audit_keep_days": 30,
    "ledger_url": "postgresql://127.0.0.1/ledger", "witnesses": ("ann=http://127.0.0.1:1", "bo=http://127.0.0.1:2"),
    "ledger_beat_s": 1.5, "push_url": "nats://127.0.0.1:4222", "archive": "kept", "proof_kept_days": 9,
    "backups_kept_days": 9, "evidence_kept_days": 9, "register_kept_days": 9, "register": "erased", "grace_s": 9,
}  # fmt: skip
PATHS = {"data", "policies", "legal", "components", "register"}
OTHER = [(PopConfig, name, value) for name, value in OTHER_POP.items()]
OTHER += [(Settings, name, value) for name, value in OTHER_PLANE.items()]


def sources(directory: Path, text: str = "", **environment: str) -> Sources:
    file = directory / "pop.toml"
    file.write_text(text)
    return Sources(PREFIX, file, environment)


def toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(part) for part in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def env(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(("kind", "values"), [(PopConfig, OTHER_POP), (Settings, OTHER_PLANE)])
def test_the_table_of_values_knows_every_setting(kind, values):
    """A field that is added must be tried here too."""
    assert set(values) == {item.name for item in settable(kind)}


@pytest.mark.parametrize(("kind", "name", "value"), OTHER)
def test_every_setting_is_reached_by_file_environment_and_option(tmp_path, kind, name, value):
    """No field of a POP or a control plane can be set by a test alone."""
    given = {
        "data": Path(".edge"),
        **({"pop": "tokyo-1"} if kind is PopConfig else {"database_url": "postgresql://h/d"}),
    }
    given.pop(name, None)
    wanted = Path(value) if name in PATHS else value
    option = assigned(kind, [f"{name}={env(value)}"])

    by_file = configured(kind, sources(tmp_path, f"{name} = {toml(value)}"), given)
    by_environment = configured(kind, sources(tmp_path, **{PREFIX + name.upper(): env(value)}), given)
    by_option = configured(kind, sources(tmp_path), given | option)

    assert [getattr(each, name) for each in (by_file, by_environment, by_option)] == [wanted] * 3


@pytest.mark.parametrize("command", [("pop", "tokyo-1"), ("control-plane",)])
@pytest.mark.parametrize(
    ("assignment", "code"),
    [("age_bandit=child", "config-unknown"), ("svid_ttl_s=long", "config-value"), ("host", "config-value")],
)
def test_the_commands_read_any_setting_from_set(command, assignment, code):
    """What cannot be used ends the command before it opens anything."""
    ended = CliRunner().invoke(app, [*command, "--set", assignment], env={"COLUMNS": "200"})

    assert (ended.exit_code, code in ended.output) == (2, True)


def test_environment_over_file_and_option_over_both(tmp_path):
    """The later place holds; an option that was not given is no value."""
    places = sources(
        tmp_path, "workers = 2\npublic_port = 1\nmesh_port = 1", EDGE_POP_WORKERS="3", EDGE_POP_PUBLIC_PORT="2"
    )

    config = configured(PopConfig, places, {**GIVEN, "workers": 4, "public_port": None})

    assert (config.workers, config.public_port, config.mesh_port) == (4, 2, 1)


@pytest.mark.parametrize(
    ("text", "environment", "code", "says"),
    [
        ("worker = 2", {}, "config-unknown", "worker"),
        ("[workers]\nmany = 2", {}, "config-value", "workers"),
        ("workers = ", {}, "config-malformed", "pop.toml"),
        ("workers = 0", {}, "config-value", "workers"),
        ("workers = 1.5", {}, "config-value", "workers"),
        ('workers = "two"', {}, "config-value", "workers"),
        ("workers = true", {}, "config-value", "workers"),
        ("host = 7", {}, "config-value", "host"),
        ('jurisdiction = "Europe"', {}, "config-value", "jurisdiction"),
        ("public_port = 70000", {}, "config-value", "port"),
        ("", {"EDGE_POP_WORKER": "2"}, "config-unknown", "worker"),
        ("", {"EDGE_POP_SECURE_COOKIES": "perhaps"}, "config-value", "secure_cookies"),
        ("", {"EDGE_POP_STREAM_PING_S": "soon"}, "config-value", "stream_ping_s"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path, text, environment, code, says):
    """A typing mistake is never a default."""
    with pytest.raises(Rejected) as refused:
        configured(PopConfig, sources(tmp_path, text, **environment), GIVEN)

    assert (refused.value.code, says in refused.value.message) == (code, True)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """A path that was given is meant."""
    with pytest.raises(Rejected) as refused:
        configured(PopConfig, Sources(PREFIX, tmp_path / "none.toml", {}), GIVEN)

    assert refused.value.code == "config-missing"


def test_a_path_to_the_file_is_no_setting(tmp_path):
    """EDGE_POP_CONFIG names the file; it is not a field."""
    assert configured(PopConfig, sources(tmp_path, EDGE_POP_CONFIG="pop.toml"), GIVEN).pop == "tokyo-1"


def test_the_template_is_a_file_of_defaults(tmp_path):
    """What `edge config` prints changes nothing until somebody edits it."""
    assert configured(PopConfig, sources(tmp_path, template(PopConfig)), GIVEN) == PopConfig("tokyo-1", Path(".edge"))


@pytest.mark.parametrize("kind", [PopConfig, Settings])
def test_the_documentation_is_what_the_program_prints(kind):
    """docs/configuration.md holds each template; every setting that is not plain has its explanation."""
    page = (ROOT / "docs/configuration.md").read_text()

    assert f"```toml\n{template(kind)}```" in page
    plain = {"host", "public_port", "mesh_port", "admin_port", "control_plane_timeout_s"}
    unexplained = {item.name for item, comment in explained(kind) if not comment}
    assert unexplained <= plain | {"rendition_cache_bytes", "max_bundle_bytes", "maintain_every_s"}


def test_a_control_plane_is_configured_too(tmp_path):
    """Its clock is the program's; everything else is reached as at a POP."""
    places = sources(tmp_path, "token_lifetime_s = 60")

    assert configured(Settings, places, {"data": tmp_path}).token_lifetime_s == 60
    with pytest.raises(Rejected, match="clock"):
        configured(Settings, sources(tmp_path, "clock = 1"), {"data": tmp_path})


def test_a_setting_that_must_be_given_is_named(tmp_path):
    """A POP without a name does not start."""
    with pytest.raises(Rejected, match="pop"):
        configured(PopConfig, sources(tmp_path), {"data": tmp_path})
