"""An archive of a ledger in an S3-compatible bucket, read for restoring.

A delete marker hides an object and takes nothing away: the newest version that holds bytes is read. Region, endpoint
(`AWS_ENDPOINT_URL_S3`) and credentials are found as boto3 finds them.
"""

from typing import Any, Self
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from consent_core.errors import Unavailable

ABSENT = ("404", "NoSuchKey")


def bucket_of(place: str) -> tuple[str, str]:
    """Bucket and key prefix of `s3://bucket/prefix`; the prefix ends with a slash or is empty."""
    parts = urlsplit(place)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


class S3Source:
    """Objects below a prefix."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def open(cls, place: str) -> Self:
        """`s3://bucket/prefix`."""
        return cls(boto3.client("s3"), *bucket_of(place))

    def fetch(self, path: str) -> bytes | None:
        """The newest version of an object. Raises: Unavailable("ledger-unreachable")."""
        key = self._prefix + path
        try:
            return self._get(key) or self._behind_marker(key)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("ledger-unreachable", f"{path}: {type(error).__name__}") from error

    def _get(self, key: str, **version: str) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key, **version)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise
        return body

    def _behind_marker(self, key: str) -> bytes | None:
        listed = self._client.list_object_versions(Bucket=self._bucket, Prefix=key).get("Versions", [])
        versions = [version for version in listed if version["Key"] == key]
        if not versions:
            return None
        newest = max(versions, key=lambda version: version["LastModified"])
        return self._get(key, VersionId=newest["VersionId"])
