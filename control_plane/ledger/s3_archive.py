"""An archive in an S3-compatible bucket: objects are put once (`If-None-Match: *`), the checkpoint is overwritten.

Versioning belongs to the bucket: with it, an overwritten checkpoint and a deleted tile can still be read. Object lock
is an operator's option (governance mode); this room never deletes and never needs it.
"""

from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from consent_core.errors import Unavailable, Untrusted
from consent_core.ledger.s3_source import ABSENT, bucket_of
from control_plane.ledger.tiles import CHECKPOINT

THERE = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")


class S3Archive:
    """Objects below a prefix of one bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def open(cls, place: str) -> Self:
        """`s3://bucket/prefix`; region, endpoint and credentials as boto3 finds them."""
        return cls(boto3.client("s3"), *bucket_of(place))

    def put_if_absent(self, path: str, data: bytes) -> None:
        """Put once. Raises: Untrusted("archive-conflict"), Unavailable("archive-unavailable")."""
        try:
            self._put(path, data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in THERE:
                raise _unavailable(error) from error
            if self._get(path) != data:
                raise Untrusted("archive-conflict", f"{path} is in the archive with other bytes") from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def put_checkpoint(self, note: bytes) -> None:
        """The one object that changes."""
        try:
            self._put(CHECKPOINT, note)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error

    def checkpoint(self) -> bytes | None:
        """What was put last."""
        return self._get(CHECKPOINT)

    def _put(self, path: str, data: bytes, **condition: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + path, Body=data, **condition)

    def _get(self, path: str) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return body


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable("archive-unavailable", f"the archive's bucket did not answer: {type(error).__name__}")
