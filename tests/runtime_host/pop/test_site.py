"""The static site: its files and nothing else."""

import gzip

import pytest

from tests.runtime_host.pop.edge import make_edge


@pytest.fixture
def site(tmp_path, catalogue, run):
    """A site with a page, a hidden file, a link that leads out, and a secret beside it."""
    root, sdk = tmp_path / "site", tmp_path / "sdk"
    (root / "shop").mkdir(parents=True)
    sdk.mkdir()
    (root / "index.html").write_text("<h1>Start</h1>")
    (root / "shop" / "index.html").write_text("<h1>Shop</h1>")
    (root / "a b.css").write_text("body {}")
    (root / ".env").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "away").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    (sdk / "consent-edge.js").write_text("export {}")
    edge = make_edge(tmp_path / "data", catalogue, parts={"sites": {"/": root, "/sdk/": sdk}})
    edge.root = root
    yield edge
    run(edge.pop.stop())


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/", "text/html; charset=utf-8", "<h1>Start</h1>"),
        ("/index.html", "text/html; charset=utf-8", "<h1>Start</h1>"),
        ("/shop/", "text/html; charset=utf-8", "<h1>Shop</h1>"),
        ("/a b.css", "text/css; charset=utf-8", "body {}"),
        ("/sdk/consent-edge.js", "text/javascript; charset=utf-8", "export {}"),
    ],
)
def test_published_files_are_served(site, run, path, kind, text):
    """With a type, a validator, and a policy against scripts that were not published."""
    reply = run(site.get(path))
    again = run(site.get(path, None, if_none_match=reply.header("etag")))

    assert (reply.status, reply.header("content-type"), reply.body.decode()) == (200, kind, text)
    assert (again.status, again.body) == (304, b"")
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/shop/../../secret.txt",
        "//secret.txt",
        "/.env",
        "/shop/.",
        "/out.txt",
        "/away/secret.txt",
        "/away/",
        "/sdk/../secret.txt",
        "/sdk/",
        "/shop",
        "/..\\secret.txt",
        "/index.html\x00.js",
        "/index.html/",
        "/nothing.html",
        "/v1",
        "/" + "a" * 300,
        "/" + "a/" * 3_000,
        "/loop/",
    ],
)
def test_nothing_else_is(site, run, path):
    """404 as JSON for every way out that was thought of."""
    reply = run(site.get(path))

    assert (reply.status, reply.json()["error"]["code"]) == (404, "route-unknown")


def test_a_changed_file_is_served_anew(site, run):
    """Another size or time means another file."""
    before = run(site.get("/"))
    (site.root / "index.html").write_text("<h1>Changed</h1>")
    after = run(site.get("/", None, if_none_match=before.header("etag")))

    assert (after.status, after.body) == (200, b"<h1>Changed</h1>")


def test_pages_may_only_run_their_own_scripts(site, run):
    """A content security policy on every page."""
    policy = run(site.get("/")).header("content-security-policy")

    assert "script-src 'self'" in policy
    assert "object-src 'none'" in policy


def test_a_worker_may_fetch_from_its_own_site_alone(site, run):
    """A script's own policy is that of a worker made of it; other files stay inert."""
    (site.root / "worker.js").write_text("fetch('/')")
    scripts = [run(site.get(path)).header("content-security-policy") for path in ("/worker.js", "/sdk/consent-edge.js")]
    style = run(site.get("/a b.css")).header("content-security-policy")

    for policy in scripts:
        assert {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert style == "default-src 'none'"


def test_text_is_compressed_for_who_takes_it(site, run):
    """Scripts compete with pictures for the visitor's bandwidth. Each form has its own ETag; caches are told."""
    (site.root / "index.html").write_text("<p>The same again.</p>" * 50)
    plain = run(site.get("/", None))
    packed = run(site.get("/", None, accept_encoding="gzip, br"))
    again = run(site.get("/", None, accept_encoding="gzip", if_none_match=packed.header("etag")))

    weak = run(site.get("/", None, accept_encoding="gzip", if_none_match="W/" + packed.header("etag")))
    refused = run(site.get("/", None, accept_encoding="br, gzip;q=0"))

    assert (plain.header("content-encoding"), packed.header("content-encoding")) == (None, "gzip")
    assert (weak.status, refused.header("content-encoding"), refused.body) == (304, None, plain.body)
    assert gzip.decompress(packed.body) == plain.body
    assert packed.header("content-length") == str(len(packed.body))
    assert plain.header("vary") == packed.header("vary") == "Accept-Encoding"
    assert plain.header("etag") != packed.header("etag")
    assert (again.status, again.body) == (304, b"")
