"""The four example configurations, in the programs they are for: through each, assets are as the application sends them.

Every answer is compared with that of the same application that has no proxy in front of it.
"""

from __future__ import annotations

import gzip
import http.client
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.http.sendfile import Sendfile
from saved import saved_a_while_ago
from servers.processes import ProcessStarter
from servers.proxies import KINDS, Kind, open_folder, start_proxy

#: Names that a shell, a template, a URL or a proxy may read as something else.
HOSTILE = [
    "a b.css",
    "100%.css",
    "a%20b.css",
    "a%41b.css",
    "%2F.css",
    "%00.css",
    "what?.css",
    "a#b.css",
    "a+b.css",
    "a;b.css",
    "a&b=c.css",
    "a,b.css",
    "ab:c.css",
    "a@b.css",
    "a|b.css",
    "it's.css",
    'say "hi".css',
    "<a>.css",
    "{a}.css",
    "{http.request.uri}.css",
    "[a].css",
    "$uri.css",
    "~a.css",
    "a..b.css",
    "caf\u00e9.css",
    "cafe\u0301.css",
    "日本語.css",
    " lead.css",
    "trail.css ",
]

#: Names that no asset may have, each as a URL spells it.
REFUSED = ["tab%09.css", "line%0A.css", "back%5Cslash.css", "latin-%FF.css", ".hidden.css", "a/../b.css"]

BIG = bytes(range(256)) * 2000
#: Large enough that aria2 fetches it in parts.
HUGE = random.Random(7).randbytes(5_000_000)
SCRIPT = b"console.log('a script that is long enough to be worth a coding');\n" * 100

#: Headers that are the connection's, or the proxy's own name.
NOT_OURS = {"date", "server", "connection", "keep-alive", "via", "transfer-encoding", "x-cache"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, target: str, method: str = "GET", **headers: str) -> Answer:
    """One request; a header that comes twice is joined."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in answer.getheaders():
            name = name.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return Answer(answer.status, {k: v for k, v in found.items() if k not in NOT_OURS}, answer.read())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Site:
    """One proxy with an application behind it, and the same application alone."""

    kind: Kind
    assets: AssetStore
    files: Path
    #: Port of the proxy, of the application behind it, and of the application that knows no proxy.
    proxy: int
    behind: int
    alone: int

    def url(self, file: str) -> str:
        return self.assets.url_for("assets", file=file)


def build(files: Path, **settings: Any) -> tuple[AssetStore, Starlette]:
    assets = AssetStore(settings)
    assets.static("/assets/", root=files / "assets", name="assets", headers={"*.css": {"X-Robots-Tag": "noindex"}})
    return assets, Starlette(routes=assets.routes)


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """A published directory in ``assets``: a proxy sends immutable files only from where nobody replaces them."""
    with open_folder() as folder:
        root = folder / "srv"
        sources = root / "sources"
        sources.mkdir(parents=True)
        for name in HOSTILE:
            (sources / name).write_text(f"one from {name}\n")
        (sources / "big.bin").write_bytes(BIG)
        (sources / "huge.bin").write_bytes(HUGE)
        (sources / "empty.css").write_bytes(b"")
        (sources / "app.js").write_bytes(SCRIPT)
        (root / "secret.txt").write_text("not an asset")
        saved_a_while_ago(root)
        assets = AssetStore()
        assets.static("/assets/", root=sources, name="assets")
        assets.publish(root / "assets", siblings=("gzip",))
        yield root


@pytest.fixture(scope="module", params=list(KINDS))
def site(
    request: pytest.FixtureRequest,
    files: Path,
    serve_module_app: Callable[[Any], str],
    start_module_process: ProcessStarter,
) -> Site:
    kind = KINDS[request.param]
    assets, app = build(files, **kind.settings)
    behind = urlsplit(serve_module_app(app)).port or 0
    alone = urlsplit(serve_module_app(build(files)[1])).port or 0
    proxy = start_proxy(kind, start_module_process, files.parent / kind.name, app_port=behind, files=files)
    return Site(kind, assets, files, proxy.port, behind, alone)


def test_the_proxy_sends_the_bytes(site: Site) -> None:
    """Else every other test here would pass without it."""
    told = ask(site.behind, site.url("big.bin"))
    assert told.body == b""
    assert site.kind.settings["STATIC_X_SENDFILE_HEADER"].lower() in told.headers
    assert ask(site.proxy, site.url("big.bin")).body == BIG


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_the_file_of_that_name(site: Site, name: str) -> None:
    answer = ask(site.proxy, site.url(name))
    assert (answer.status, answer.body) == (200, f"one from {name}\n".encode())


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_no_asset_may_have_is_nowhere(site: Site, name: str) -> None:
    answer = ask(site.proxy, f"/assets/{name}")
    assert answer.status in {400, 403, 404}
    assert "immutable" not in answer.headers.get("cache-control", "")


REQUESTS = {
    "a style sheet": ("a b.css", {}),
    "a large file": ("big.bin", {}),
    "an empty file": ("empty.css", {}),
    "a script, not coded": ("app.js", {}),
    "a script, coded beforehand": ("app.js", {"Accept_Encoding": "gzip"}),
    "a script, in a coding that has no file": ("app.js", {"Accept_Encoding": "br"}),
    "from another origin": ("a b.css", {"Origin": "https://example.org"}),
    "a part": ("big.bin", {"Range": "bytes=100-199"}),
    "a single byte": ("big.bin", {"Range": "bytes=0-0"}),
    "the last bytes": ("big.bin", {"Range": "bytes=-100"}),
    "a part past the end": ("big.bin", {"Range": "bytes=9999999-"}),
    "two parts": ("big.bin", {"Range": "bytes=0-9,20-29"}),
    "a part that cannot be read": ("big.bin", {"Range": "bytes=nonsense"}),
    "a part in an unknown unit": ("big.bin", {"Range": "lines=1-2"}),
    "a part of another version": ("big.bin", {"Range": "bytes=0-9", "If_Range": '"other"'}),
    "another version's validator": ("big.bin", {"If_None_Match": '"other"'}),
    "a precondition that fails": ("big.bin", {"If_Match": '"other"'}),
    "modified since long ago": ("big.bin", {"If_Modified_Since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
    "modified since the future": ("big.bin", {"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
}

#: What a proxy decides by itself about every answer that passes, off-loaded or not.
OF_ITS_OWN = {
    ("lighttpd", "a part that cannot be read"): 416,
    ("lighttpd", "modified since the future"): 304,  # it reads If-Modified-Since as "not newer than"
}


@pytest.mark.parametrize("wanted", REQUESTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("named", ["fingerprinted", "plain"])
def test_through_the_proxy_it_is_as_from_the_application(site: Site, method: str, named: str, wanted: str) -> None:
    file, headers = REQUESTS[wanted]
    target = site.url(file) if named == "fingerprinted" else f"/assets/{file.replace(' ', '%20')}"
    got, expected = ask(site.proxy, target, method, **headers), ask(site.alone, target, method, **headers)
    if method == "GET" and (site.kind.name, wanted) in OF_ITS_OWN:
        assert got.status == OF_ITS_OWN[site.kind.name, wanted]
        return
    assert (got.status, got.body) == (expected.status, expected.body)
    assert comparable(got) == comparable(expected)


def comparable(answer: Answer) -> dict[str, str]:
    """The headers, but for what means the same said or unsaid."""
    headers = dict(answer.headers)
    if answer.status == 206:
        headers.pop("accept-ranges", None)
    if headers.get("content-length") == "0":
        del headers["content-length"]
    return headers


def test_the_validators_of_the_application_earn_a_304(site: Site) -> None:
    whole = ask(site.proxy, site.url("big.bin"))
    for condition in ({"If_None_Match": whole.headers["etag"]}, {"If_Modified_Since": whole.headers["last-modified"]}):
        answer = ask(site.proxy, site.url("big.bin"), **condition)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["cache-control"] == whole.headers["cache-control"]


def test_a_file_that_goes_between_is_a_404_that_nobody_keeps(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application has opened it; the proxy comes too late."""
    file = site.files / "assets/going.css"
    file.write_text("here")
    target = site.url("going.css")
    decide = Sendfile.respond

    def decide_and_remove(*args: Any) -> Any:
        answer = decide(*args)
        file.unlink()
        return answer

    monkeypatch.setattr(Sendfile, "respond", decide_and_remove)
    answer = ask(site.proxy, target)
    assert answer.status == 404
    assert "immutable" not in answer.headers.get("cache-control", "")
    assert "etag" not in answer.headers
    assert "content-encoding" not in answer.headers
    assert_not_kept(answer)


def test_a_file_that_the_proxy_may_not_read_is_an_error_that_nobody_keeps(site: Site) -> None:
    file = site.files / "assets/private.css"
    file.write_text("for the application's user alone")
    file.chmod(0o600 if os.geteuid() == 0 else 0)
    try:
        answer = ask(site.proxy, site.url("private.css"))
    finally:
        file.unlink()
    assert answer.status >= 400
    assert b"alone" not in answer.body
    assert_not_kept(answer)


def assert_not_kept(answer: Answer) -> None:
    """What no cache keeps: said so, or (RFC 9111 section 4.2.2, Varnish alone excepted) nothing said at all."""
    assert answer.headers.get("cache-control") in {"no-store", None}


def test_a_missing_file_is_the_applications_404(site: Site) -> None:
    got, wanted = ask(site.proxy, "/assets/none.css"), ask(site.alone, "/assets/none.css")
    assert (got.status, got.headers, got.body) == (wanted.status, wanted.headers, wanted.body)
    assert got.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("target", ["/_accel/assets/big.bin", "/_accel/secret.txt", "/_accel/"])
def test_the_inner_place_cannot_be_asked_for(site: Site, target: str) -> None:
    assert ask(site.proxy, target).status == 404


@pytest.mark.parametrize("header", ["X-Accel-Redirect", "X-Sendfile"])
def test_a_client_cannot_name_a_file_itself(site: Site, header: str) -> None:
    answer = ask(site.proxy, "/assets/none.css", **{header: f"{site.files}/secret.txt"})
    assert answer.status == 404


def test_nothing_outside_the_files_is_sent(
    site: Site, serve_module_app: Callable[[Any], str], start_process: ProcessStarter
) -> None:
    """Even if the application were made to name it."""

    async def confused(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            value = scope["query_string"]
            name = site.kind.settings["STATIC_X_SENDFILE_HEADER"].lower().encode()
            head = [(name, value), (b"content-length", b"0"), (b"etag", b'"1"'), (b"last-modified", b"x")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": b""})

    app_port = urlsplit(serve_module_app(confused)).port or 0
    folder = site.files.parent / f"{site.kind.name}-confused"
    proxy = start_proxy(site.kind, start_process, folder, app_port=app_port, files=site.files / "assets")
    for value in ("/etc/hostname", "/_accel/../secret.txt", "/_accel/%2e%2e/secret.txt", f"{site.files}/secret.txt"):
        answer = ask(proxy.port, f"/?{value}")
        assert b"not an asset" not in answer.body
        assert answer.body != Path("/etc/hostname").read_bytes()


def test_the_internal_headers_never_reach_a_client(site: Site) -> None:
    for file in ("big.bin", "app.js"):
        headers = ask(site.proxy, site.url(file), Accept_Encoding="gzip").headers
        assert [name for name in headers if name.startswith(("x-accel", "x-sendfile", "x-offload"))] == []


def test_one_connection_serves_one_request_after_another(site: Site) -> None:
    """A body where none may be, or a wrong length, would be taken for the next answer."""
    connection = http.client.HTTPConnection("127.0.0.1", site.proxy, timeout=10)
    asked = [("HEAD", {}), ("GET", {}), ("GET", {"Range": "bytes=5-9"}), ("HEAD", {}), ("GET", {})]
    got = []
    for method, headers in asked:
        connection.request(method, site.url("big.bin"), headers=headers)
        answer = connection.getresponse()
        got.append((answer.status, answer.read()))
    connection.close()
    assert got == [(200, b""), (200, BIG), (206, BIG[5:10]), (200, b""), (200, BIG)]


#: Downloads that were broken off after so many bytes, taken up again; and one in four parts at once.
DOWNLOADS = {
    "curl": "{program} --silent --fail --continue-at - --output {file} {url}",
    "wget": "{program} --quiet --continue --output-document={file} {url}",
    "aria2c": "{program} --quiet --split=4 --min-split-size=1M --max-connection-per-server=4 --continue=true "
    "--allow-overwrite=true --dir={folder} --out={name} {url}",
}


@pytest.mark.parametrize("client", DOWNLOADS)
def test_a_download_that_broke_off_is_taken_up_again(
    site: Site, client: str, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    file = tmp_path / "got.bin"
    file.write_bytes(HUGE[:1000])
    url = f"http://127.0.0.1:{site.proxy}{site.url('huge.bin')}"
    words = DOWNLOADS[client].format(program=program(client), file=file, folder=tmp_path, name=file.name, url=url)
    subprocess.run(words.split(), check=True, timeout=30, capture_output=True)
    assert file.read_bytes() == HUGE


@pytest.mark.parametrize(("proxy", "told"), [("apache", "nginx"), ("lighttpd", "caddy")])
def test_behind_the_wrong_proxy_clients_see_no_path_of_the_disk(
    proxy: str, told: str, files: Path, serve_app: Callable[[Any], str], start_process: ProcessStarter
) -> None:
    """It passes the header on, so the setting belongs to its proxy alone; what it names is the proxy's own place."""
    assets, app = build(files, **KINDS[told].settings)
    app_port = urlsplit(serve_app(app)).port or 0
    folder = files.parent / f"{proxy}-wrong"
    port = start_proxy(KINDS[proxy], start_process, folder, app_port=app_port, files=files).port
    answer = ask(port, assets.url_for("assets", file="big.bin"))
    assert answer.body == b""
    assert answer.headers["x-accel-redirect"] == "/_accel" + assets.url_for("assets", file="big.bin")
    assert str(files) not in str(answer.headers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_site_that_does_not_say_which_proxy_is_right_behind_each(
    kind: str, files: Path, serve_app: Callable[[Any], str], start_process: ProcessStarter
) -> None:
    """What the two that read one header would read differently, the application sends itself."""
    settings = {**KINDS[kind].settings, "STATIC_X_SENDFILE_SERVER": ""}
    assets, app = build(files, **settings)
    app_port = urlsplit(serve_app(app)).port or 0
    folder = files.parent / f"{kind}-unnamed"
    port = start_proxy(KINDS[kind], start_process, folder, app_port=app_port, files=files).port
    for name in HOSTILE:
        assert ask(port, assets.url_for("assets", file=name)).body == f"one from {name}\n".encode()
    coded = ask(port, assets.url_for("assets", file="app.js"), Accept_Encoding="gzip")
    assert (coded.headers["content-encoding"], gzip.decompress(coded.body)) == ("gzip", SCRIPT)
    assert "immutable" in coded.headers["cache-control"]


def test_a_site_without_the_setting_never_names_a_file(files: Path, serve_app: Callable[[Any], str]) -> None:
    """A proxy that does not know the header would show clients a path of the disk."""
    port = urlsplit(serve_app(build(files)[1])).port or 0
    headers = ask(port, "/assets/big.bin", X_Sendfile_Type="X-Accel-Redirect", X_Accel_Mapping="/=/").headers
    assert [name for name in headers if name.startswith(("x-accel", "x-sendfile", "x-offload"))] == []
