"""AWS KMS as key provider: a symmetric key, with the context as encryption context.

    KmsProvider(boto3.client("kms"), "alias/consent-edge")

Wrapping keys never leave KMS. The caller makes the client, because region and credentials are its affair.
Source: docs.aws.amazon.com/kms/latest/APIReference.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from consent_core.errors import Unavailable, Untrusted

_PREFIX = "kms:"
_WRONG = {"InvalidCiphertextException", "IncorrectKeyException", "ValidationException"}


class KmsProvider:
    """The KMS key `key_id` (id, ARN or alias). `client`: boto3's KMS client."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = self._call(client.describe_key, KeyId=key_id)["KeyMetadata"]["KeyId"]

    def wrap(self, key: bytes, context: str) -> str:
        """`kms:<base64 of KMS's ciphertext>`."""
        answer = self._call(self._client.encrypt, KeyId=self._key_id, Plaintext=key, EncryptionContext={"use": context})
        return _PREFIX + base64.b64encode(answer["CiphertextBlob"]).decode("ascii")

    def unwrap(self, wrapped: str, context: str) -> bytes:
        """The key in a text that `wrap` made."""
        answer = self._call(
            self._client.decrypt,
            KeyId=self._key_id,
            CiphertextBlob=_ciphertext(wrapped),
            EncryptionContext={"use": context},
        )
        return bytes(answer["Plaintext"])

    def rewrap(self, wrapped: str, context: str) -> str:
        """The same key under the newest key material; the plain key stays in KMS."""
        answer = self._call(
            self._client.re_encrypt,
            CiphertextBlob=_ciphertext(wrapped),
            SourceKeyId=self._key_id,
            SourceEncryptionContext={"use": context},
            DestinationKeyId=self._key_id,
            DestinationEncryptionContext={"use": context},
        )
        return _PREFIX + base64.b64encode(answer["CiphertextBlob"]).decode("ascii")

    def rotate(self) -> None:
        """New key material under the same key id."""
        self._call(self._client.rotate_key_on_demand, KeyId=self._key_id)

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return method(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _WRONG:
                raise Untrusted("key-unwrap", "not wrapped by this KMS key for this use") from error
            raise Unavailable("key-provider", f"KMS refused: {code}") from error
        except BotoCoreError as error:
            raise Unavailable("key-provider", f"KMS did not answer: {type(error).__name__}") from error


def _ciphertext(wrapped: str) -> bytes:
    if not wrapped.startswith(_PREFIX):
        raise Untrusted("key-unwrap", "not wrapped by KMS")
    try:
        return base64.b64decode(wrapped.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise Untrusted("key-unwrap", "not wrapped by KMS") from error
