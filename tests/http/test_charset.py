"""``charset=utf-8`` stands where the bytes are UTF-8, and nowhere else."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from asgi.tree import MODIFIED_NS, put
from assetstore import AssetStore
from waiting import eventually

if TYPE_CHECKING:
    from servers.s3 import S3Bucket

LATIN = "p::after { content: 'déjà' }".encode("latin-1")
UTF8 = "p::after { content: 'déjà' }".encode()

CASES = [
    pytest.param("a.css", UTF8, "text/css; charset=utf-8", id="UTF-8"),
    pytest.param("a.css", b"p { }", "text/css; charset=utf-8", id="ASCII"),
    pytest.param("a.css", LATIN, "text/css", id="Latin-1"),
    pytest.param("a.css", b'@charset "iso-8859-1";' + UTF8, "text/css", id="declared otherwise"),
    pytest.param("a.html", b"<meta charset=windows-1251><p>text", "text/html", id="a page that declares it"),
    pytest.param("a.txt", "text".encode("utf-16"), "text/plain", id="UTF-16"),
    pytest.param("a.js", b"\xef\xbb\xbfvar a", "text/javascript; charset=utf-8", id="a byte order mark"),
    pytest.param("a.txt", UTF8[:-8] + "é".encode()[:1], "text/plain", id="a character that is cut off"),
    pytest.param("a.js", b"x" * 100_000 + LATIN, "text/javascript", id="late in a file that no loop checks"),
    pytest.param("a.js", b"x" * 900_000 + UTF8, "text/javascript; charset=utf-8", id="a large one"),
    pytest.param("a.txt", b"", "text/plain; charset=utf-8", id="empty"),
    pytest.param("a.png", LATIN, "image/png", id="no text"),
]


def client_of(root: object, **options: object) -> TestClient:
    store = AssetStore()
    store.static("/assets/", root=root, name="assets", **options)  # type: ignore[arg-type]
    return TestClient(Starlette(routes=store.routes))


@pytest.mark.parametrize(("name", "data", "expected"), CASES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_of_a_file_on_disk_the_bytes_tell(tmp_path: Path, name: str, data: bytes, expected: str, method: str) -> None:
    put(tmp_path, name, data)
    with client_of(tmp_path) as client:
        for headers in ({"accept-encoding": "identity"}, {"accept-encoding": "gzip"}, {"accept-encoding": "gzip"}):
            assert client.request(method, f"/assets/{name}", headers=headers).headers["content-type"] == expected
        whole = client.get(f"/assets/{name}")
        assert (whole.content, whole.headers["content-type"]) == (data, expected)
        if data:
            part = client.get(f"/assets/{name}", headers={"range": "bytes=0-1"})
            assert (part.status_code, part.headers["content-type"]) == (206, expected)


def test_a_saved_file_is_looked_at_again(tmp_path: Path) -> None:
    put(tmp_path, "a.css", UTF8)
    with client_of(tmp_path) as client:
        assert client.get("/assets/a.css").headers["content-type"] == "text/css; charset=utf-8"
        put(tmp_path, "a.css", LATIN, MODIFIED_NS + 10**9)
        assert eventually(lambda: client.get("/assets/a.css").headers["content-type"] == "text/css")


def test_what_the_mount_says_of_a_type_stands(tmp_path: Path) -> None:
    put(tmp_path, "a.css", LATIN)
    with client_of(tmp_path, media_types={".css": "text/css; charset=iso-8859-1"}) as client:
        assert client.get("/assets/a.css").headers["content-type"] == "text/css; charset=iso-8859-1"


def test_a_rewritten_file_has_the_charset_of_its_rewritten_bytes(tmp_path: Path) -> None:
    put(tmp_path, "b.css", LATIN)
    put(tmp_path, "a.css", b"@import 'b.css'; " + UTF8)
    with client_of(tmp_path, references="rewrite") as client:
        assert client.get("/assets/a.css").headers["content-type"] == "text/css; charset=utf-8"
        assert client.get("/assets/b.css").headers["content-type"] == "text/css"


def test_many_files_at_once_are_each_judged_by_their_own_bytes(tmp_path: Path) -> None:
    expected = {}
    for number in range(24):
        name = f"{number}.txt"
        put(tmp_path, name, b"x" * 80_000 + (LATIN if number % 3 else UTF8))
        expected[name] = "text/plain" if number % 3 else "text/plain; charset=utf-8"
    found: dict[str, str] = {}
    with client_of(tmp_path) as client:

        def ask(name: str) -> None:
            found[name] = client.get(f"/assets/{name}").headers["content-type"]

        threads = [threading.Thread(target=ask, args=[name]) for name in expected]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found == expected


@pytest.mark.parametrize(("end", "expected"), [(UTF8, "text/css; charset=utf-8"), (LATIN, "text/css")])
def test_of_a_large_file_all_bytes_tell_and_nobody_waits_for_them(tmp_path: Path, end: bytes, expected: str) -> None:
    put(tmp_path, "large.css", b" " * 3_000_000 + end)
    with client_of(tmp_path) as client:
        assert client.head("/assets/large.css").headers["content-type"] in {"text/css", expected}
        assert eventually(lambda: client.head("/assets/large.css").headers["content-type"] == expected)
        time.sleep(0.3)
        assert client.head("/assets/large.css").headers["content-type"] == expected
        assert client.get("/assets/large.css").headers["content-type"] == expected


def test_of_an_object_the_bytes_tell_once_they_are_there(moto_bucket: S3Bucket) -> None:
    moto_bucket.put({"a.css": LATIN, "b.css": UTF8})
    with client_of(moto_bucket.url, storage_options=moto_bucket.server.options) as client:
        assert client.get("/assets/a.css").headers["content-type"] == "text/css"
        assert client.head("/assets/a.css").headers["content-type"] == "text/css"
        assert client.get("/assets/b.css").headers["content-type"] == "text/css; charset=utf-8"


def test_of_a_release_the_manifest_tells(tmp_path: Path, moto_bucket: S3Bucket) -> None:
    put(tmp_path, "a.css", LATIN)
    put(tmp_path, "b.css", UTF8)
    source = AssetStore()
    source.static("/assets/", root=tmp_path, name="assets", fingerprint="content")
    source.publish(moto_bucket.url, storage_options=moto_bucket.server.options)
    with client_of(moto_bucket.url, storage_options=moto_bucket.server.options) as client:
        client.head(source.url_for("assets", file="a.css"))  # a fingerprinted name makes the mount look for its release
        assert eventually(lambda: client.head("/assets/a.css").headers["content-type"] == "text/css")
        for name, expected in (("a.css", "text/css"), ("b.css", "text/css; charset=utf-8")):
            url = source.url_for("assets", file=name)
            assert client.head(url).headers["content-type"] == expected
            assert client.get(url).headers["content-type"] == expected
