"""Which key provider a deployment uses, as one line of its configuration.

keyring                                          a file of this machine (the default)
openbao+https://bao.internal:8200/consent-edge   Transit key `consent-edge`; the token comes separately
aws-kms:alias/consent-edge                       region and credentials as boto3 finds them
<name>:<anything>                                an installed package's entry point `<name>` of this group:
                                                 open(line, data, token) -> KeyProvider
"""

from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from consent_core.trust.providers import KeyProvider
from consent_core.trust.providers.keyring import LocalKeyring

KEYRING = "keyring"
PLUGINS = "consent_edge.key_providers"


def open_provider(line: str, data: Path, token: str | None = None) -> KeyProvider:
    """The provider that `line` names. Raises: ValueError for another line, Unavailable("key-provider")."""
    if line == KEYRING:
        return LocalKeyring(data / "keyring" / "wrapping.json")
    if line.startswith("openbao+"):
        return _transit(line.removeprefix("openbao+"), token)
    if line.startswith("aws-kms:"):
        return _kms(line.removeprefix("aws-kms:"))
    for plugin in entry_points(group=PLUGINS, name=line.partition(":")[0]):
        provider: KeyProvider = plugin.load()(line, data, token)
        return provider
    raise ValueError("key provider: expected keyring, openbao+https://host:port/key or aws-kms:key")


def _transit(url: str, token: str | None) -> KeyProvider:
    from consent_core.trust.providers.transit import TransitProvider  # a POP with a keyring needs no HTTP client

    parts = urlsplit(url)
    key = parts.path.strip("/")
    if token is None or parts.scheme not in ("http", "https") or not key:
        raise ValueError("key provider: openbao needs an address, the name of a key, and a token")
    return TransitProvider(f"{parts.scheme}://{parts.netloc}", token, key)


def _kms(key: str) -> KeyProvider:
    import boto3  # 20 MB that a POP with a keyring does not need

    from consent_core.trust.providers.kms import KmsProvider

    return KmsProvider(boto3.client("kms"), key)
