"""A registry, over the OCI distribution API: HTTPS, plain HTTP to this machine only.

A registry is *not* trusted: what comes from it is looked at only after its digest is what was asked for, so it can
withhold and replace, but not make anything pass that the trust file does not cover.

Source: OCI distribution specification 1.1 (pull, push, referrers API, referrers tag schema).
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx
import stamina

from builder.deploy.access import RegistryAuth
from builder.deploy.artefact import IMAGE_INDEX, IMAGE_MANIFEST, Artefact, Blob
from builder.deploy.layout import index_of
from builder.deploy.origin import is_loopback
from builder.deploy.reference import Reference
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import read_json_object, sha256_digest

MAX_MANIFEST_BYTES = 4_194_304  # the specification's own advice
MAX_REFERRERS = 8_192
MAX_PAGES = 64  # of a list of referrers
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TIMEOUT_S = 60.0
ATTEMPTS = 3

_BINARY = {"content-type": "application/octet-stream"}
_MANIFESTS = {"accept": f"{IMAGE_MANIFEST}, {IMAGE_INDEX}"}


class _BusyError(Exception):
    """The registry failed in a way that may pass."""


class Registry:
    """One repository in one registry. A context manager: leaving it closes the connections."""

    def __init__(
        self, reference: Reference, auth: RegistryAuth | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._base = f"{reference.base_url}/v2/{reference.name}"
        self._client = httpx.Client(
            auth=auth or RegistryAuth(),
            transport=transport,
            timeout=TIMEOUT_S,
            follow_redirects=True,  # registries hand blobs out from elsewhere; the digest says whether it is the blob
            event_hooks={"request": [_refuse_plain]},
        )

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def push_artefact(self, artefact: Artefact, tag: str | None = None) -> None:
        """Blobs first, then the manifest that names them, then the list of referrers if the registry keeps none."""
        for blob in artefact.blobs:
            self._push_blob(blob)
        headers = {"content-type": artefact.manifest.media_type}
        answer = self._send(
            "PUT", f"manifests/{tag or artefact.digest}", headers=headers, content=_bytes(artefact.manifest)
        )
        if artefact.kind and "oci-subject" not in answer.headers:
            self._list_referrer(artefact)

    def manifest(self, reference: str, limit: int = MAX_MANIFEST_BYTES) -> bytes:
        """A manifest by tag or digest; by digest it is exactly that one.

        Raises: Rejected("deploy-missing"), Untrusted("deploy-digest").
        """
        with self._stream(f"manifests/{reference}", _MANIFESTS) as answer:
            data = b"".join(_at_most(answer, limit, "deploy-digest"))
        if reference.startswith("sha256:") and sha256_digest(data) != reference:
            raise Untrusted("deploy-digest", f"the registry answered with another manifest than {reference}")
        return data

    def blob(self, digest: str, size: int) -> bytes:
        """A small blob. Raises: Untrusted("deploy-layer") if it is not what its digest says."""
        with self._stream(f"blobs/{digest}") as answer:
            data = b"".join(_at_most(answer, size, "deploy-layer"))
        if len(data) != size or sha256_digest(data) != digest:
            raise Untrusted("deploy-layer", f"the registry answered with other bytes than {digest}")
        return data

    def download(self, digest: str, size: int, path: Path) -> None:
        """A large blob to a file. Raises: Untrusted("deploy-layer"); the file is then to be thrown away."""
        hashed, written = sha256(), 0
        with path.open("wb") as file, self._stream(f"blobs/{digest}") as answer:
            for chunk in _at_most(answer, size, "deploy-layer"):
                hashed.update(chunk)
                written += file.write(chunk)
        if written != size or f"sha256:{hashed.hexdigest()}" != digest:
            raise Untrusted("deploy-layer", f"the registry answered with other bytes than {digest}")

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """Descriptors of what names this manifest as its subject: by the API, else by the tag made from its digest."""
        for path in (f"referrers/{digest}", f"manifests/{_fallback_tag(digest)}"):
            try:
                return list(self._pages(path))
            except Rejected as error:
                if error.code != "deploy-missing":
                    raise
        return []

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        """A list of referrers with the pages that follow: what is listed first must not hide what is listed last."""
        listed = 0
        for _ in range(MAX_PAGES):
            with self._stream(path, {"accept": IMAGE_INDEX}) as answer:
                data = b"".join(_at_most(answer, MAX_MANIFEST_BYTES, "deploy-digest"))
                following = answer.links.get("next", {}).get("url")
            found = _descriptors(data)
            listed += len(found)
            yield from found
            if following is None:
                return
            path = _same_host(urljoin(str(answer.url), following), answer.url)
            if listed > MAX_REFERRERS:
                break
        raise Untrusted("deploy-layout", f"expected at most {MAX_REFERRERS} referrers on {MAX_PAGES} pages")

    def _list_referrer(self, artefact: Artefact) -> None:
        """The referrers tag schema: read the list, add, write. Two pushers at once may lose one entry: push again."""
        subject = read_json_object(_bytes(artefact.manifest), MAX_MANIFEST_BYTES)["subject"]["digest"]
        listed = [entry for entry in self.referrers(subject) if entry["digest"] != artefact.digest]
        content = index_of([*listed, artefact.descriptor()])
        self._send("PUT", f"manifests/{_fallback_tag(subject)}", headers={"content-type": IMAGE_INDEX}, content=content)

    def _push_blob(self, blob: Blob) -> None:
        if self._send("HEAD", f"blobs/{blob.digest}", accept=(200, 404)).status_code == httpx.codes.OK:
            return
        started = self._send("POST", "blobs/uploads/", headers={"content-length": "0"})
        place = urljoin(str(started.url), started.headers.get("location", ""))
        place = _same_host(place, started.url)
        length = {"content-length": str(blob.size)}
        self._send("PUT", place, headers=_BINARY | length, params={"digest": blob.digest}, content=blob.content)

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        content: bytes | Path = b"",
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        url = httpx.URL(self._url(path))

        @stamina.retry(on=(httpx.TransportError, _BusyError), attempts=ATTEMPTS, wait_initial=0.1, wait_max=2.0)
        def attempt() -> httpx.Response:
            with ExitStack() as stack:
                body = stack.enter_context(content.open("rb")) if isinstance(content, Path) else content
                answer = self._client.request(
                    method, url.copy_merge_params(params or {}), headers=headers, content=_chunks(body)
                )
            _check(answer, accept)
            return answer

        try:
            return attempt()
        except (httpx.TransportError, _BusyError) as error:
            raise Unavailable("deploy-registry", f"{url.host}: {error}") from error

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self._base}/{path}"

    @contextmanager
    def _stream(self, path: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        try:
            with self._client.stream("GET", self._url(path), headers=headers) as answer:
                _check(answer)
                yield answer
        except (httpx.TransportError, httpx.TooManyRedirects, _BusyError) as error:
            raise Unavailable("deploy-registry", f"{urlsplit(self._base).hostname}: {error}") from error


def _same_host(place: str, asked: httpx.URL) -> str:
    if urlsplit(place).netloc != asked.netloc.decode("ascii"):
        raise Rejected("deploy-registry-answer", "the registry sends us to another host")
    return place


def _refuse_plain(request: httpx.Request) -> None:
    if request.url.scheme != "https" and not is_loopback(request.url.host):
        raise Rejected("deploy-denied", f"plain HTTP to {request.url.host}: only to this machine")


def _check(answer: httpx.Response, accept: tuple[int, ...] = ()) -> None:
    status = answer.status_code
    if answer.is_success or status in accept:
        return
    if status in (401, 403):
        raise Rejected("deploy-denied", f"the registry refused: {status}", status=403)
    if status == httpx.codes.NOT_FOUND:
        raise Rejected("deploy-missing", "the registry has no such artefact", status=404)
    if status == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise _BusyError(f"it answered {status}")
    raise Rejected("deploy-registry-answer", f"the registry answered {status}")


def _at_most(answer: httpx.Response, limit: int, code: str) -> Iterator[bytes]:
    received = 0
    for chunk in answer.iter_bytes(1 << 20):
        received += len(chunk)
        if received > limit:
            raise Untrusted("deploy-layer" if code == "deploy-layer" else "deploy-digest", f"more than {limit} bytes")
        yield chunk


def _chunks(body: bytes | BinaryIO) -> bytes | Iterator[bytes]:
    return body if isinstance(body, bytes) else iter(lambda: body.read(1 << 20), b"")


def _bytes(blob: Blob) -> bytes:
    return blob.content if isinstance(blob.content, bytes) else blob.content.read_bytes()


def _fallback_tag(digest: str) -> str:
    return digest.replace(":", "-")


def _descriptors(data: bytes) -> list[dict[str, Any]]:
    entries = read_json_object(data, MAX_MANIFEST_BYTES).get("manifests")
    if not isinstance(entries, list) or len(entries) > MAX_REFERRERS:
        raise Untrusted("deploy-layout", f"expected a list of at most {MAX_REFERRERS} referrers")
    return [entry for entry in entries if isinstance(entry, dict) and DIGEST.fullmatch(str(entry.get("digest")))]
