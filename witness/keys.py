"""A witness's own key: made once, one file of mode 0600, never shared with the operator of a ledger.

key = WitnessKey.open(Path(".edge/witnesses/w1"), "w1", create=True)
key.trusted          # name and public key, as a trust file lists them
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.token import decode_base64url, encode_base64url
from consent_core.trust.files import PRIVATE, locked, write_atomically
from consent_core.trust.trust_file import Witness

FILE = "key.json"
MAX_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Name and private key of one witness."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def open(cls, directory: Path, name: str, create: bool = False) -> "WitnessKey":
        """The key in `directory`; with `create` it is made if there is none.

        Raises: Unavailable("keys-missing"), Untrusted("keys-malformed"), also for a key of another name.
        """
        if create:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(directory):
                if not (directory / FILE).exists():
                    write_atomically(directory / FILE, _value(name, Ed25519PrivateKey.generate()), PRIVATE)
        return cls(name, _read(directory / FILE, name))

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        return self.private.public_key().public_bytes_raw()

    @property
    def trusted(self) -> Witness:
        """What a trust file says of this witness."""
        return Witness(self.name, self.public_key)

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes."""
        return self.private.sign(message)

    def __repr__(self) -> str:
        return f"WitnessKey({self.name})"


def _value(name: str, private: Ed25519PrivateKey) -> bytes:
    return canonical_json({"name": name, "secret": encode_base64url(private.private_bytes_raw())})


def _read(path: Path, name: str) -> Ed25519PrivateKey:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unavailable("keys-missing", f"cannot read the key of witness {name}: {error.strerror}") from error
    try:
        value = read_json_object(data, MAX_BYTES)
        if value["name"] != name:
            raise Untrusted("keys-malformed", f"expected the key of witness {name}")
        return Ed25519PrivateKey.from_private_bytes(decode_base64url(value["secret"]))
    except (ConsentEdgeError, KeyError, TypeError, ValueError) as error:
        raise Untrusted("keys-malformed", f"the key of witness {name} is damaged or another's") from error
