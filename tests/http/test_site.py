"""A mount as a site of pages, and as a single-page application, on disk and in a bucket, through real servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asgi.wire import WireReply, exchange, request_of
from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.http.site import is_navigation
from servers.processes import Process, ProcessStarter
from servers.s3 import S3Bucket

SUPPORT = Path(__file__).parents[1] / "support"
TREE = {
    "index.html": "home",
    "404.html": "no such page",
    "about.html": "about",
    "docs/index.html": "docs",
    "docs/v1.2.html": "version 1.2",
    "a dir/index.html": "with a blank",
    "LICENSE": "license",
    "js/app.js": "js",
    "empty/app.js": "js",
}
NAVIGATION = b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"


@pytest.fixture(params=["disk", "bucket"])
def site(
    request: pytest.FixtureRequest, moto_bucket: S3Bucket, start_process: ProcessStarter, tmp_path: Path
) -> Process:
    if request.param == "bucket":
        moto_bucket.put({path: text.encode() for path, text in TREE.items()})
        options = {name: value for name, value in moto_bucket.server.options.items() if value is not None}
        env = {"SITE_ROOT": moto_bucket.url, "SITE_STORAGE": json.dumps(options)}
    else:
        for path, text in TREE.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
        env = {"SITE_ROOT": str(tmp_path)}
    return start_process.asgi("asgi.sites:app", folder=SUPPORT, env=env)


def get(site: Process, target: str, headers: bytes = b"", method: bytes = b"GET") -> WireReply:
    return exchange(site.port, request_of(target.encode(), method, headers))


def test_a_site(site: Process) -> None:
    for prefix in ("/site", "", "/both"):
        for target, body in {
            "/": b"home",
            "/index.html": b"home",
            "/docs/": b"docs",
            "/about": b"about",
            "/docs/v1.2": b"version 1.2",
            "/a%20dir/": b"with a blank",
            "/LICENSE": b"license",
            "/js/app.js": b"js",
        }.items():
            for _ in range(2):  # the second one may come from a cache
                reply = get(site, prefix + target)
                assert (reply.status, reply.body) == (200, body), (prefix + target, site.output)
            head = get(site, prefix + target, method=b"HEAD")
            assert (head.status, head.body) == (200, b"")
            assert head.headers["content-length"] == str(len(body))

    # A folder has a slash at its end; the query is kept.
    reply = get(site, "/site/docs?a=1&b=%20")
    assert (reply.status, reply.headers["location"]) == (308, "/site/docs/?a=1&b=%20")
    assert get(site, "/a%20dir").headers["location"] == "/a%20dir/"

    # A page is revalidated at each use, whatever max_age says; it has an ETag for that.
    page = get(site, "/site/about")
    assert page.headers["cache-control"] == "max-age=0, public, must-revalidate"
    assert get(site, "/site/about", f"If-None-Match: {page.headers['etag']}\r\n".encode()).status == 304
    assert get(site, "/site/js/app.js").headers["cache-control"] == "max-age=60, public, must-revalidate"

    # 404.html is the body of a 404, which nobody may keep.
    for target in ("/site/no-such", "/site/no-such/", "/site/js/no-such.js", "/site/empty/", "/site/empty", "/no-such"):
        for headers in (b"", b"If-None-Match: *\r\n", b"Range: bytes=0-3\r\n"):
            reply = get(site, target, headers)
            assert (reply.status, reply.body) == (404, b"no such page"), target
            assert reply.headers["content-type"] == "text/html; charset=utf-8"
            assert reply.headers["cache-control"] == "no-store"
            assert not {"etag", "last-modified", "accept-ranges"} & set(reply.headers)
    assert get(site, "/site/no-such", method=b"HEAD").body == b""
    assert get(site, "/site/no-such", method=b"POST").status == 405

    # Nothing outside, nothing hidden, whatever stands behind it.
    for target in ("/site/../index", "/site/.env", "/site//index", "/site/%2e%2e/about", "/site/about%00"):
        assert get(site, target).status in {400, 404}

    # A site at the root is no obstacle for the application's routes.
    assert get(site, "/api/users").body == b"the application's own"


def test_a_single_page_application(site: Process) -> None:
    for prefix in ("/spa", "/both"):
        for target in ("/users/7", "/users/", "/no-such"):
            for _ in range(2):
                reply = get(site, prefix + target, NAVIGATION)
                assert (reply.status, reply.body) == (200, b"home"), (target, site.output)
            assert reply.headers["cache-control"] == "max-age=0, public, must-revalidate"
            assert "Accept" in reply.headers["vary"].split(", ")
            assert get(site, prefix + target, NAVIGATION, b"HEAD").status == 200
            etag = f"If-None-Match: {reply.headers['etag']}\r\n".encode()
            assert get(site, prefix + target, NAVIGATION + etag).status == 304
        # What is no navigation stays a 404 that no cache keeps as a script.
        for target, headers in {
            "/js/no-such.js": NAVIGATION,
            "/users/7": b"Accept: */*\r\n",
            "/users/8": b"",
            "/users/9": b"Accept: text/html;q=0, application/json\r\n",
        }.items():
            reply = get(site, prefix + target, headers)
            assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")
        assert get(site, f"{prefix}/js/app.js", NAVIGATION).body == b"js"
    assert get(site, "/spa/about", NAVIGATION).body == b"home", "pages without their extension come with html=True only"
    assert get(site, "/both/about", NAVIGATION).body == b"about"


@pytest.mark.parametrize(
    ("file", "accept", "expected"),
    [
        ("users/7", b"text/html", True),
        ("users/7", b"TEXT/HTML; charset=utf-8", True),
        ("users/7", b"application/json, text/html;q=0.5", True),
        ("users/7", b"application/xhtml+xml", True),
        ("users/7", b"text/html;q=0.000", False),
        ("users/7", b"*/*", False),
        ("users/7", b"text/*", False),
        ("users/7", b"", False),
        ("users/7.js", b"text/html", False),
        ("v1.2/users", b"text/html", True),
        ("", b"text/html", True),
        ("users/7", b";;,,;q", False),
    ],
)
def test_what_a_navigation_is(file: str, accept: bytes, expected: bool) -> None:
    assert is_navigation(file, [(b"accept", accept)]) is expected


@pytest.mark.parametrize("options", [{"html": 1}, {"fallback": "/index.html"}, {"fallback": 3}, {"fallback": "../x"}])
def test_options_that_are_none_are_refused(options: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=next(iter(options))):
        AssetStore({}).static("/", root=tmp_path, **options)  # type: ignore[arg-type]
