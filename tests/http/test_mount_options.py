"""What the options of a mount promise, through real servers."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from asgi.tree import MODIFIED_NS, put
from asgi.wire import WireReply, exchange, request_of
from assetstore import AssetStore
from servers.processes import Process, ProcessStarter
from servers.proxies import open_folder
from waiting import eventually

SUPPORT = Path(__file__).parents[1] / "support"
Serve = Callable[..., Process]
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 50
PLAIN_POLICY, IMMUTABLE = "max-age=0, public, must-revalidate", "max-age=31536000, public, immutable"


@pytest.fixture
def serve(start_process: ProcessStarter, tmp_path: Path) -> Serve:
    def start(server: str = "uvicorn", **options: Any) -> Process:
        env = {"SERVED_ROOT": str(tmp_path), "MOUNT_OPTIONS": json.dumps(options)}
        return start_process.asgi("asgi.options:app", server=server, folder=SUPPORT, env=env)

    return start


def get(served: Process, file: str, *headers: str, method: str = "GET") -> WireReply:
    lines = "".join(f"{header}\r\n" for header in headers).encode()
    return exchange(served.port, request_of(f"/assets/{quote(file)}".encode(), method.encode(), lines))


def url_of(served: Process, file: str) -> str:
    return exchange(served.port, request_of(f"/url?file={quote(file)}".encode())).body.decode()


def test_media_types_of_a_mount_and_of_the_registry(serve: Serve, tmp_path: Path) -> None:
    for name in ("a.usdz", "a.own", "b.mpd", "CNAME", "a.deb"):
        put(tmp_path, name, b"x" * 2000)
    served = serve(media_types={".usdz": "model/x-own", ".own": "application/x-own+json", "CNAME": "text/plain"})
    expected = {
        "a.usdz": "model/x-own",
        "a.own": "application/x-own+json; charset=utf-8",
        "b.mpd": "application/dash+xml; charset=utf-8",
        "CNAME": "text/plain; charset=utf-8",
        "a.deb": "application/x-debian-package",
    }
    assert {name: get(served, name).headers["content-type"] for name in expected} == expected
    assert get(served, "a.own", "Accept-Encoding: gzip").headers["content-encoding"] == "gzip", "text is compressed"


def test_compressed_svg_is_svg_in_gzip(serve: Serve, tmp_path: Path) -> None:
    put(tmp_path, "logo.svgz", gzip.compress(SVG, mtime=0))
    served = serve()
    reply = get(served, "logo.svgz", "Accept-Encoding: gzip, br")
    assert reply.headers["content-type"] == "image/svg+xml"
    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body) == SVG
    plain = get(served, "logo.svgz", "Accept-Encoding: identity")
    assert "content-encoding" not in plain.headers
    assert plain.body == SVG


def test_max_age_by_pattern(serve: Serve, tmp_path: Path) -> None:
    for name in ("a.png", "a.js", "docs/a.png"):
        put(tmp_path, name, name.encode())
    served = serve(max_age={"*.png": 3600, "docs/**": 60}, public=True)
    policies = {name: get(served, name).headers["cache-control"] for name in ("a.png", "a.js", "docs/a.png")}
    assert policies == {
        "a.png": "max-age=3600, public, must-revalidate",
        "a.js": PLAIN_POLICY,
        "docs/a.png": "max-age=60, public, must-revalidate",
    }
    assert exchange(served.port, request_of(url_of(served, "a.png").encode())).headers["cache-control"] == IMMUTABLE
    outdated = get(served, f"a-{'0' * 64}.png")
    assert outdated.headers["cache-control"] == PLAIN_POLICY, "a URL of another version is kept by nobody"


def test_cors_for_everyone_no_one_or_some(serve: Serve, tmp_path: Path) -> None:
    put(tmp_path, "app.css", b"a{}" * 1000)
    allowed = "Origin: https://app.example.com"
    served = serve()
    assert get(served, "app.css").headers["access-control-allow-origin"] == "*"
    served = serve(cors=None)
    reply = get(served, "app.css", allowed)
    assert "access-control-allow-origin" not in reply.headers
    assert "Origin" not in reply.headers.get("vary", "")

    served = serve(cors=["https://app.example.com", "https://www.example.com"])
    for headers in ((), ("Accept-Encoding: gzip",), ("Range: bytes=0-1",)):
        for _ in range(3):  # from a cache as well
            reply = get(served, "app.css", allowed, *headers)
            assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
            assert "Origin" in reply.headers["vary"].split(", ")
            for other in ("Origin: https://evil.example.com", "Origin: null", "X-None: 1"):
                reply = get(served, "app.css", other, *headers)
                assert "access-control-allow-origin" not in reply.headers
                assert "Origin" in reply.headers["vary"].split(", ")
    for reply in (get(served, "none.css", allowed), get(served, "app.css", allowed, method="OPTIONS")):
        assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "Range" in get(served, "app.css", allowed, method="OPTIONS").headers["access-control-allow-headers"]


def test_names_of_a_bundler_are_immutable_while_their_content_is_the_same(serve: Serve, tmp_path: Path) -> None:
    hashed = "assets/index-CGZxCL6k.js"
    put(tmp_path, hashed, b"one" * 1000)
    put(tmp_path, "assets/plain.js", b"plain")
    served = serve(immutable="vite")
    assert url_of(served, hashed) == f"/assets/{hashed}"
    for _ in range(2):
        assert get(served, hashed).headers["cache-control"] == IMMUTABLE
    assert get(served, "assets/plain.js").headers["cache-control"] == PLAIN_POLICY

    # The same bytes built again are the same file.
    os.utime(tmp_path / hashed)
    eventually(lambda: get(served, hashed).headers["cache-control"] == IMMUTABLE)
    put(tmp_path, hashed, b"two" * 1000)
    eventually(lambda: get(served, hashed).body == b"two" * 1000)
    for _ in range(2):
        assert get(served, hashed).headers["cache-control"] == PLAIN_POLICY
    assert served.output.count("changed, though immutable=") == 1


def test_well_known_is_served_and_other_hidden_names_where_they_were_named(serve: Serve, tmp_path: Path) -> None:
    for name in (".well-known/security.txt", ".foo/a.txt", ".bar/a.txt", ".well-known/.htpasswd"):
        put(tmp_path, name, name.encode())
    served = serve(hidden=[".foo"])
    statuses = {name: get(served, name).status for name in (".well-known/security.txt", ".foo/a.txt", ".bar/a.txt")}
    assert statuses == {".well-known/security.txt": 200, ".foo/a.txt": 200, ".bar/a.txt": 404}
    assert get(served, ".well-known/.htpasswd").status == 404
    for name in (".well-known/security.txt", ".foo/a.txt"):
        url = url_of(served, name)
        assert url != f"/assets/{name}"
        assert exchange(served.port, request_of(url.encode())).headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
def test_a_path_of_1024_bytes_works_with_its_fingerprint(server: str, serve: Serve, tmp_path: Path) -> None:
    longest = "/".join(["d" * 190] * 5) + "/" + "n" * 65 + ".css"
    assert len(longest) == 1024
    put(tmp_path, longest, b"x{}")
    served = serve(server)
    assert get(served, longest).status == 200
    reply = exchange(served.port, request_of(url_of(served, longest).encode()))
    assert (reply.status, reply.headers["cache-control"]) == (200, IMMUTABLE)
    assert get(served, longest + "x").status == 404
    assert get(served, longest[:-4] + f"x-{'0' * 64}.css").status == 404


def test_a_file_that_cannot_be_read_is_a_404_and_a_line_in_the_log(start_process: ProcessStarter) -> None:
    with open_folder() as root:
        put(root, "secret.css", b"x{}").chmod(0)
        env = {"SERVED_ROOT": str(root), "MOUNT_OPTIONS": "{}", "UNPRIVILEGED": "1"}
        served = start_process.asgi("asgi.options:app", folder=SUPPORT, env=env)
        reply = get(served, "secret.css")
        assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")
        assert "no permission to read 'secret.css'" in served.output


def test_links_out_of_the_root_are_followed_where_the_mount_says_so(serve: Serve, tmp_path: Path) -> None:
    root, elsewhere = tmp_path, tmp_path.parent / f"{tmp_path.name}-elsewhere"
    put(elsewhere, "a.css", b"a{}")
    put(elsewhere, "folder/b.css", b"b{}")
    put(root, "c.css", b"c{}")
    (root / "a.css").symlink_to(elsewhere / "a.css")
    (root / "folder").symlink_to(elsewhere / "folder")
    (root / "loop").symlink_to(root)
    (root / "gone.css").symlink_to(elsewhere / "gone.css")
    (root / "null.css").symlink_to("/dev/null")
    os.mkfifo(elsewhere / "fifo")
    (root / "fifo.css").symlink_to(elsewhere / "fifo")
    os.utime(elsewhere / "a.css", ns=(MODIFIED_NS, MODIFIED_NS))

    closed, opened = serve(), serve(follow_symlinks=True)
    assert [get(closed, file).status for file in ("a.css", "folder/b.css", "c.css")] == [404, 404, 200]
    assert get(opened, "a.css").body == b"a{}"
    assert get(opened, "folder/b.css").body == b"b{}"
    url = url_of(opened, "a.css")
    assert url != "/assets/a.css"
    assert exchange(opened.port, request_of(url.encode())).headers["cache-control"] == IMMUTABLE
    assert [get(opened, file).status for file in ("gone.css", "null.css", "fifo.css", "folder")] == [404] * 4
    for spelling in ("../secret", "folder/../../x", ".env", "a.css/x"):
        assert get(opened, spelling).status == 404

    store = AssetStore({})
    mount = store.static("/", root=root, follow_symlinks=True)
    assert {stat.path for stat in mount.backend.walk()} == {"a.css", "c.css", "folder/b.css"}


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
def test_short_fingerprints_are_verified_like_long_ones(serve: Serve, tmp_path: Path, server: str) -> None:
    put(tmp_path, "app.css", b"body { color: red }")
    served = serve(server, fingerprint_length=16)
    url = url_of(served, "app.css").removeprefix("/assets/")
    assert len(url) == len("app-.css") + 16
    for _ in range(2):
        assert get(served, url).headers["cache-control"] == IMMUTABLE
        assert get(served, f"app-{'0' * 16}.css").headers["cache-control"] != IMMUTABLE
    assert get(served, f"app-{'0' * 15}.css").status == 404


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
def test_a_charset_stands_only_where_the_bytes_are_utf8(serve: Serve, tmp_path: Path, server: str) -> None:
    put(tmp_path, "utf8.css", "p::after { content: 'déjà' }".encode())
    put(tmp_path, "latin.css", "p::after { content: 'déjà' }".encode("latin-1"))
    served = serve(server)
    for _ in range(2):
        assert get(served, "utf8.css").headers["content-type"] == "text/css; charset=utf-8"
        assert get(served, "latin.css").headers["content-type"] == "text/css"
