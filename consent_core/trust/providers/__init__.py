"""Key providers: who holds the keys that wrap data keys. One protocol, one contract suite, three holders.

keyring.py   a file of this machine (0600): development and single hosts
transit.py   OpenBao or Vault, Transit secrets engine
kms.py       AWS KMS
"""

from typing import Protocol


class KeyProvider(Protocol):
    """Wraps small secrets (data keys of 32 bytes). A wrapped key is text, and opens only in its own context.

    Every method raises Unavailable("key-provider") if the holder does not answer.
    """

    def wrap(self, key: bytes, context: str) -> str:
        """`key` under the newest wrapping key. `context` says what for, and is authenticated."""
        ...

    def unwrap(self, wrapped: str, context: str) -> bytes:
        """The key again. Raises: Untrusted("key-unwrap") for an altered text or another context."""
        ...

    def rewrap(self, wrapped: str, context: str) -> str:
        """The same key under the newest wrapping key. Raises: Untrusted("key-unwrap")."""
        ...

    def rotate(self) -> None:
        """Make a new wrapping key the newest. What older ones wrapped still opens."""
        ...
