"""Key providers: one contract, three holders, each a real server or file."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import hvac
import pytest
import requests
from moto.server import ThreadedMotoServer

from consent_core.errors import Unavailable, Untrusted
from consent_core.trust.providers import KeyProvider
from consent_core.trust.providers.keyring import LocalKeyring
from consent_core.trust.providers.kms import KmsProvider
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.providers.transit import TransitProvider
from fleet.ports import free_port

KEY = bytes(range(32))
TOKEN = "development-only"


@pytest.fixture(scope="session")
def openbao() -> Iterator[str]:
    """A real OpenBao server in development mode, Transit mounted."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(Path(sys.executable).with_name("bao")), "server", "-dev", "-dev-no-store-token"]
    command += [f"-dev-root-token-id={TOKEN}", f"-dev-listen-address={url.removeprefix('http://')}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    client = hvac.Client(url=url, token=TOKEN)
    try:
        _until_ready(server, lambda: not client.sys.is_sealed())
        client.sys.enable_secrets_engine("transit")
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def _until_ready(server: "subprocess.Popen[bytes]", ready: Callable[[], bool]) -> None:
    for _ in range(3_000):
        with contextlib.suppress(requests.RequestException, hvac.exceptions.VaultError):
            if ready():
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"OpenBao ended with {server.wait(0.1)}")
    raise AssertionError("OpenBao did not start")


@pytest.fixture(scope="session")
def kms() -> Iterator[str]:
    """moto's KMS server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def kms_provider(url: str) -> KmsProvider:
    client = boto3.client(
        "kms", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    return KmsProvider(client, client.create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture(params=["keyring", "openbao", "kms"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> KeyProvider:
    """Each holder in turn."""
    if request.param == "keyring":
        return LocalKeyring(tmp_path / "keyring.json")
    if request.param == "openbao":
        return TransitProvider(request.getfixturevalue("openbao"), TOKEN, f"k-{tmp_path.name}")
    return kms_provider(request.getfixturevalue("kms"))


def test_what_was_wrapped_opens(provider: KeyProvider) -> None:
    """And does not show the key."""
    wrapped = provider.wrap(KEY, "audit|tokyo-1|1")

    assert provider.unwrap(wrapped, "audit|tokyo-1|1") == KEY
    assert KEY.hex() not in wrapped


def test_two_wrappings_differ(provider: KeyProvider) -> None:
    """Nobody can tell that the same key was wrapped twice."""
    assert provider.wrap(KEY, "c") != provider.wrap(KEY, "c")


@pytest.mark.parametrize("open_with", ["unwrap", "rewrap"])
def test_another_context_is_refused(provider: KeyProvider, open_with: str) -> None:
    """A data key of one segment cannot be passed off as another's."""
    wrapped = provider.wrap(KEY, "audit|tokyo-1|1")

    with pytest.raises(Untrusted) as refusal:
        getattr(provider, open_with)(wrapped, "audit|tokyo-1|2")

    assert refusal.value.code == "key-unwrap"


@pytest.mark.parametrize(
    "alter", [lambda w: w[:-4] + "AAA=", lambda w: "x" + w, lambda w: w[: len(w) // 2], lambda _: ""]
)
def test_an_altered_text_is_refused(provider: KeyProvider, alter: Callable[[str], str]) -> None:
    """Damage is refused under one code, whoever holds the key."""
    with pytest.raises(Untrusted) as refusal:
        provider.unwrap(alter(provider.wrap(KEY, "c")), "c")

    assert refusal.value.code == "key-unwrap"


def test_rotation_keeps_old_wrappings_open_and_rewraps(provider: KeyProvider) -> None:
    """Old text opens after two rotations, and its rewrapping is another text for the same key."""
    wrapped = provider.wrap(KEY, "c")
    provider.rotate()
    provider.rotate()
    rewrapped = provider.rewrap(wrapped, "c")

    assert provider.unwrap(wrapped, "c") == provider.unwrap(rewrapped, "c") == KEY
    assert rewrapped != wrapped


@pytest.mark.parametrize("holder", ["keyring", "openbao"])
def test_a_rewrapping_is_by_the_newest_version(holder: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Where the text says which version wrapped it, rewrapping moves it on."""
    provider = (
        LocalKeyring(tmp_path / "keyring.json")
        if holder == "keyring"
        else TransitProvider(request.getfixturevalue("openbao"), TOKEN, f"k-{tmp_path.name}")
    )
    wrapped = provider.wrap(KEY, "c")
    provider.rotate()

    assert (wrapped.split(":")[1], provider.rewrap(wrapped, "c").split(":")[1]) == ("v1", "v2")


def test_a_key_of_another_holder_is_refused(provider: KeyProvider, tmp_path: Path) -> None:
    """Text from elsewhere is not opened."""
    with pytest.raises(Untrusted) as refusal:
        provider.unwrap(LocalKeyring(tmp_path / "other.json").wrap(KEY, "c"), "c")

    assert refusal.value.code == "key-unwrap"


def test_a_holder_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    """Nothing listening, or a damaged keyring: retry later, deny now."""
    (tmp_path / "keyring.json").write_text("{}")
    with pytest.raises(Unavailable) as refusal:
        LocalKeyring(tmp_path / "keyring.json")
    assert refusal.value.code == "key-provider"
    with pytest.raises(Unavailable) as refusal:
        TransitProvider(f"http://127.0.0.1:{free_port()}", TOKEN, "k")
    assert refusal.value.code == "key-provider"
    client = boto3.client(
        "kms",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=boto3.session.Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Unavailable) as refusal:
        KmsProvider(client, "k")
    assert refusal.value.code == "key-provider"


def test_a_wrong_token_is_unavailable(openbao: str) -> None:
    """OpenBao refusing us is not a verdict on the data."""
    with pytest.raises(Unavailable):
        TransitProvider(openbao, "wrong", "k")


def test_the_keyring_is_the_owners_alone(tmp_path: Path) -> None:
    """Mode 0600."""
    LocalKeyring(tmp_path / "keyring.json")

    assert (tmp_path / "keyring.json").stat().st_mode & 0o777 == 0o600


def test_an_installed_package_can_bring_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point named like the beginning of the configuration line; an unknown line is refused."""
    (tmp_path / "vault_plugin.py").write_text(
        "from consent_core.trust.providers.keyring import LocalKeyring\n"
        "def open_provider(line, data, token):\n    return LocalKeyring(data / line.partition(':')[2])\n"
    )
    metadata = tmp_path / "vault_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[consent_edge.key_providers]\nours = vault_plugin:open_provider\n")
    monkeypatch.syspath_prepend(tmp_path)

    provider = open_provider("ours:keys.json", tmp_path)

    assert provider.unwrap(provider.wrap(KEY, "c"), "c") == KEY
    with pytest.raises(ValueError, match="key provider: expected"):
        open_provider("nobody:keys.json", tmp_path)
