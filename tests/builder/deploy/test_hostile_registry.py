"""A registry that does what it should not, and one that wants to know who we are.

WSGI applications behind httpx's own transport: the client is the real one, the other side is as bad as we like.
"""

import base64
import json

import httpx
import pytest

from builder.deploy.access import RegistryAuth
from builder.deploy.artefact import WASM_LAYER, Artefact, Blob
from builder.deploy.reference import Reference
from builder.deploy.registry import MAX_PAGES, MAX_REFERRERS, Registry
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import sha256_digest

REFERENCE = Reference.parse("registry.example/shop/x:1")
BLOB = Blob.of(WASM_LAYER, b"component")
DIGEST = BLOB.digest


def client(app, auth=None):
    """A registry client whose network is this application."""
    return Registry(REFERENCE, auth, httpx.WSGITransport(app=app))


def answering(status, headers=(), body=b""):
    """An application that always says the same."""

    def app(_environ, start_response):
        start_response(status, list(headers))
        return [body]

    return app


def test_an_endless_blob_is_cut_off(tmp_path):
    """No more is taken than the manifest announced."""
    given = []

    def app(_environ, start_response):
        start_response("200 OK", [])
        return (given.append(1) or b"x" * (1 << 20) for _ in range(1000))

    with client(app) as registry, pytest.raises(Untrusted) as caught:
        registry.download(DIGEST, 1 << 20, tmp_path / "f")
    assert (caught.value.code, len(given) < 10) == ("deploy-layer", True)


def test_an_upload_to_another_host_is_refused():
    """What we push goes where we were told to push, and so does our password."""
    elsewhere = answering("202 Accepted", [("location", "https://elsewhere.example/upload")])

    def app(environ, start_response):
        if environ["REQUEST_METHOD"] == "HEAD":
            return answering("404 Not Found")(environ, start_response)
        assert environ["HTTP_HOST"] == "registry.example"
        return elsewhere(environ, start_response)

    with client(app) as registry, pytest.raises(Rejected) as caught:
        registry.push_artefact(Artefact("", BLOB, (BLOB,)))
    assert caught.value.code == "deploy-registry-answer"


def test_a_redirect_to_plain_http_is_refused():
    """Nobody on the way gets to answer, not even with bytes whose digest would be looked at."""
    asked = []

    def app(environ, start_response):
        asked.append(environ["wsgi.url_scheme"])
        return answering("307 Temporary Redirect", [("location", "http://blobs.example/x")])(environ, start_response)

    with client(app) as registry, pytest.raises(Rejected) as caught:
        registry.blob(DIGEST, 9)
    assert (caught.value.code, asked) == ("deploy-denied", ["https"])


def test_a_redirect_by_https_is_followed_without_our_password():
    """Registries hand blobs out from elsewhere."""
    seen = []

    def app(environ, start_response):
        seen.append((environ["HTTP_HOST"], "HTTP_AUTHORIZATION" in environ))
        if environ["HTTP_HOST"] == "blobs.example":
            return answering("200 OK", body=b"component")(environ, start_response)
        if "HTTP_AUTHORIZATION" not in environ:
            return answering("401 Unauthorized", [("www-authenticate", "Basic")])(environ, start_response)
        return answering("307 Temporary Redirect", [("location", "https://blobs.example/x")])(environ, start_response)

    with client(app, RegistryAuth("me", "secret")) as registry:
        assert registry.blob(DIGEST, 9) == b"component"
    assert seen == [("registry.example", False), ("registry.example", True), ("blobs.example", False)]


def test_a_password_is_traded_for_a_token():
    """Once; the next request brings the token along."""
    seen = []
    challenge = 'Bearer realm="https://auth.example/token",service="s",scope="repository:shop/x:pull"'
    auth = RegistryAuth("me", "secret", "auth.example")

    def app(environ, start_response):
        given = environ.get("HTTP_AUTHORIZATION", "")
        seen.append((environ["HTTP_HOST"], given.partition(" ")[0]))
        if environ["HTTP_HOST"] == "auth.example":
            assert base64.b64decode(given.split()[1]) == b"me:secret"
            assert environ["QUERY_STRING"] == "service=s&scope=repository%3Ashop%2Fx%3Apull"
            return answering("200 OK", body=json.dumps({"token": "t"}).encode())(environ, start_response)
        if given != "Bearer t":
            return answering("401 Unauthorized", [("www-authenticate", challenge)])(environ, start_response)
        return answering("200 OK", body=b"component")(environ, start_response)

    with client(app, auth) as registry:
        assert [registry.blob(DIGEST, 9), registry.blob(DIGEST, 9)] == [b"component"] * 2
    hosts = ["registry.example", "auth.example", "registry.example", "registry.example"]
    assert seen == list(zip(hosts, ["", "Basic", "Bearer", "Bearer"], strict=True))


@pytest.mark.parametrize(
    ("realm", "answer"),
    [("http://auth.example/token", b'{"token": "t"}'), ("https://auth.example/token", b"<html>"), ("", b"{}")],
    ids=["plain", "no token", "no realm"],
)
def test_a_bad_token_service_gets_us_nowhere(realm, answer):
    """A password does not go over plain HTTP; rubbish is a refusal, not a crash."""
    asked = []

    def app(environ, start_response):
        asked.append(environ["wsgi.url_scheme"])
        if environ["HTTP_HOST"] == "auth.example":
            return answering("200 OK", body=answer)(environ, start_response)
        return answering("401 Unauthorized", [("www-authenticate", f'Bearer realm="{realm}"')])(environ, start_response)

    realm_host = realm.removeprefix("http://").removeprefix("https://").partition("/")[0]
    auth = RegistryAuth("me", "secret", realm_host)
    with client(app, auth) as registry, pytest.raises(Rejected) as caught:
        registry.blob(DIGEST, 9)
    assert set(asked) == {"https"}
    assert caught.value.code == ("deploy-denied" if realm else "deploy-realm")


@pytest.mark.parametrize(
    "realm",
    [
        "https://evil.example/token", "https://registry.example.evil.example/token", "https://registry.example:8443/t",
        "https://registry.example@evil.example/token", "http://registry.example.evil/token", "",
    ],
)  # fmt: skip
def test_a_password_goes_to_no_realm_of_another_host(realm):
    """A registry may name any token service; what it gets there is a refusal that names the option."""
    asked = []

    def app(environ, start_response):
        asked.append((environ["HTTP_HOST"], "HTTP_AUTHORIZATION" in environ))
        return answering("401 Unauthorized", [("www-authenticate", f'Bearer realm="{realm}"')])(environ, start_response)

    with client(app, RegistryAuth("me", "secret")) as registry, pytest.raises(Rejected, match="--realm") as caught:
        registry.blob(DIGEST, 9)
    assert (caught.value.code, asked) == ("deploy-realm", [("registry.example", False)])


def test_the_registry_may_be_its_own_token_service():
    """Its own host needs no option."""

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/token":
            assert environ["HTTP_AUTHORIZATION"].startswith("Basic ")
            return answering("200 OK", body=b'{"token": "t"}')(environ, start_response)
        if environ.get("HTTP_AUTHORIZATION") != "Bearer t":
            challenge = 'Bearer realm="https://registry.example/token"'
            return answering("401 Unauthorized", [("www-authenticate", challenge)])(environ, start_response)
        return answering("200 OK", body=b"component")(environ, start_response)

    with client(app, RegistryAuth("me", "secret")) as registry:
        assert registry.blob(DIGEST, 9) == b"component"


def test_a_redirect_cannot_ask_for_the_password():
    """The host that a redirect led to is none of the registry's, whatever it challenges with."""
    asked = []

    def app(environ, start_response):
        asked.append((environ["HTTP_HOST"], environ.get("HTTP_AUTHORIZATION", "")))
        if environ["HTTP_HOST"] == "blobs.example":
            challenge = 'Bearer realm="https://registry.example/token"'
            return answering("401 Unauthorized", [("www-authenticate", challenge)])(environ, start_response)
        return answering("307 Temporary Redirect", [("location", "https://blobs.example/x")])(environ, start_response)

    with client(app, RegistryAuth("me", "secret")) as registry, pytest.raises(Rejected) as caught:
        registry.blob(DIGEST, 9)
    assert caught.value.code == "deploy-denied"
    assert asked == [("registry.example", ""), ("blobs.example", "")]


def listing(pages, link='</v2/shop/x/referrers/{digest}?page={next}>; rel="next"'):
    """A registry whose list of referrers has so many pages of one entry each."""

    def app(environ, start_response):
        page = int(environ["QUERY_STRING"].removeprefix("page=") or 1)
        entries = [{"digest": f"sha256:{page:064x}", "artifactType": "application/x"}]
        more = [("link", link.format(digest=DIGEST, next=page + 1))] if page < pages else []
        return answering("200 OK", more, json.dumps({"manifests": entries}).encode())(environ, start_response)

    return app


def test_referrers_on_further_pages_are_found():
    """Others who may push can fill the first page."""
    with client(listing(3)) as registry:
        assert [entry["digest"][-1] for entry in registry.referrers(DIGEST)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (listing(MAX_PAGES + 1), Untrusted),
        (listing(2, '<https://elsewhere.example/x?page={next}>; rel="next"'), Rejected),
    ],
    ids=["endless", "elsewhere"],
)
def test_pages_without_an_end_or_of_another_host_are_refused(app, error):
    """A list has an end, and is the registry's own."""
    with client(app) as registry, pytest.raises(error):
        registry.referrers(DIGEST)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("401 Unauthorized", Rejected, "deploy-denied"),
        ("403 Forbidden", Rejected, "deploy-denied"),
        ("404 Not Found", Rejected, "deploy-missing"),
        ("418 Teapot", Rejected, "deploy-registry-answer"),
        ("500 Internal Server Error", Unavailable, "deploy-registry"),
    ],
)
def test_each_answer_has_a_meaning(status, error, code):
    """Who must act follows from what the registry said."""
    with client(answering(status)) as registry, pytest.raises(error) as caught:
        registry.manifest("1")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"manifests": 1}', json.dumps({"manifests": [{}] * (MAX_REFERRERS + 1)}).encode(), b"\xff"],
    ids=["nothing", "a list", "a number", "too many", "noise"],
)
def test_a_malformed_list_of_referrers_is_refused(body):
    """Not taken for an empty one: nothing then says that there is no signature."""
    with client(answering("200 OK", body=body)) as registry, pytest.raises(Untrusted) as caught:
        registry.referrers(DIGEST)
    assert caught.value.code in {"deploy-layout", "json-malformed"}


def test_a_registry_that_knows_referrers_needs_no_list():
    """Where the answer to a push names the subject, nothing else is written."""
    written = []

    def app(environ, start_response):
        written.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        return answering("201 Created", [("oci-subject", DIGEST)])(environ, start_response)

    manifest = Blob.of("application/vnd.oci.image.manifest.v1+json", b"{}")
    with client(app) as registry:
        registry.push_artefact(Artefact("application/x", manifest, ()))
    assert written == [("PUT", f"/v2/shop/x/manifests/{sha256_digest(b'{}')}")]


def test_a_registry_that_is_not_there():
    """After a few attempts: unavailable."""
    with Registry(Reference.parse("127.0.0.1:1/a/b:1")) as registry, pytest.raises(Unavailable) as caught:
        registry.push_artefact(Artefact("", BLOB, (BLOB,)))
    assert caught.value.code == "deploy-registry"


@pytest.mark.parametrize(
    "text",
    [
        "", "shop", "registry.example/shop", "/shop:1", "registry.example/Shop:1", "registry.example/a//b:1",
        "registry.example/a:1@sha256:abc", "registry.example/a:-x", "https://registry.example/a:1", "r.example/../a:1",
        "registry.example/a:1\n", "user@registry.example/a:1", "registry.example/" + "a" * 600 + ":1",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text):
    """Host, name, and a tag or digest."""
    with pytest.raises(Rejected) as caught:
        Reference.parse(text)
    assert caught.value.code == "deploy-reference"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("registry.example/a/b:1", "https://registry.example"),
        ("registry.example:5000/a:1.0.0", "https://registry.example:5000"),
        ("127.0.0.1:5000/a:1", "http://127.0.0.1:5000"),
        ("localhost:5000/a:1", "http://localhost:5000"),
        ("[::1]:5000/a:1", "http://[::1]:5000"),
        ("localhost.example/a:1", "https://localhost.example"),
        ("127.0.0.1.example/a:1", "https://127.0.0.1.example"),
    ],
)
def test_plain_http_is_for_this_machine(text, url):
    """And for no name that only looks like it."""
    assert Reference.parse(text).base_url == url
    assert str(Reference.parse(text)) == text
