"""Releases are switched in every way while clients fetch: no immutable response has bytes that are not its name's.

The files change by a link that moves, by renaming over them, by writing in place; with times that are
kept, pinned, or of a restored backup; with siblings that belong to them and siblings that do not. A published
directory changes by publishes, and by copies that are half done. ``SOAK_SECONDS`` says for how long each test runs;
with 120 they make some 200,000 requests.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import brotli
import pytest

from assetstore import AssetStore
from assetstore.names import fingerprint as fingerprints
from assetstore.names.manifest import dump
from assetstore.publish import Published
from servers.edges import StartEdge
from servers.processes import ProcessStarter
from servers.proxies import KINDS, open_folder, start_proxy

SITE = """
import json, os
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from assetstore import AssetStore

given = json.loads(os.environ["SITE"])
assets = AssetStore(given["settings"])
assets.static("/assets/", root=given["root"], name="assets", **given["options"])
urls = lambda request: JSONResponse([assets.url_for("assets", file=each) for each in given["files"]])

async def on_the_loop(request):
    return urls(request)

app = Starlette(routes=[*assets.routes, Route("/urls", on_the_loop)])
"""

#: Small ones, one that is compressed by itself, and one that servers send by its path, hashed in the background.
FILES = {"css/app.css": 300, "js/app.js": 20_000, "data/film.bin": 2_500_000}
CODINGS = {"br": (".br", brotli.decompress), "gzip": (".gz", gzip.decompress)}
PINNED = (0, 1, 315_532_800, 499_162_500, 1_700_000_000)


def content(path: str, version: int) -> bytes:
    """The bytes of one version: as many in each, so that no size tells them apart."""
    line = f"/* {path} {version:06} */".encode()
    if path.endswith(".css"):
        line += b'a{background:url("../js/app.js")}'
    return (line * (FILES[path] // len(line) + 1))[: FILES[path]] + b"/**/"


@dataclass
class Site:
    """The files of a running server, and every way to change them."""

    folder: Path
    #: Whether a file may get the time of another version to the nanosecond, which only content tells apart.
    any_time: bool
    rng: random.Random
    #: Whether a proxy opens the files of a published directory. It sends as many bytes as it finds, so these must not be
    #: written to in place (``docs/how-to/proxies.md``): a publish does not, and rsync neither.
    by_proxy: bool = False
    #: Where its files come from, if it is a directory that is published to.
    publisher: AssetStore | None = None
    version: int = 0
    #: SHA-256 of every version that was ever whole.
    whole: set[str] = field(default_factory=set)
    done: dict[str, int] = field(default_factory=dict)

    @property
    def current(self) -> Path:
        return self.folder / "assets"

    def begin(self) -> None:
        """Two releases, the first of which is current."""
        for release in ("r0", "r1"):
            for path in FILES:
                self.put(self.folder / release, path, self.next(path))
        if self.publisher is None:
            self.current.symlink_to("r0")
        else:
            self.publisher.static("/assets/", root=self.folder / "r0", name="assets", fingerprint="content")
            self.publisher.publish(self.current)

    def next(self, path: str) -> bytes:
        self.version += 1
        data = content(path, self.version)
        self.whole.add(hashlib.sha256(data).hexdigest())
        return data

    def put(self, root: Path, path: str, data: bytes) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def change(self) -> None:
        """One of the ways, at random."""
        ways = [self.link, self.rename, self.in_place, self.keep_time, self.pin, self.restore, self.leave_sibling]
        if self.publisher is not None:
            ways = [self.publish, self.copy_again, self.rename, self.in_place]
        way = self.rng.choice(ways)
        way(self.rng.choice(list(FILES)))
        self.done[way.__name__] = self.done.get(way.__name__, 0) + 1

    def link(self, path: str) -> None:
        now = os.readlink(self.current)
        (self.folder / "next").symlink_to("r1" if now == "r0" else "r0")
        os.replace(self.folder / "next", self.current)

    def replace(self, path: str, data: bytes, time_ns: int | None = None) -> None:
        new = self.folder / "new"
        new.write_bytes(data)
        if time_ns is not None:
            os.utime(new, ns=(time_ns, time_ns))
        os.replace(new, self.current / path)

    def rename(self, path: str) -> None:
        self.replace(path, self.next(path))

    def in_place(self, path: str) -> None:
        data = self.next(path)
        with (self.current / path).open("r+b") as file:
            for start in range(0, len(data), len(data) // 4):
                file.write(data[start : start + len(data) // 4])
                file.flush()
                time.sleep(self.rng.choice([0, 0.001, 0.02]))
            file.truncate()

    def keep_time(self, path: str) -> None:
        """As a copy with its time, or a build that gives every release one time."""
        kept = (self.current / path).stat().st_mtime_ns
        self.replace(path, self.next(path), kept if self.any_time else kept - kept % 10**9)

    def pin(self, path: str) -> None:
        self.replace(path, self.next(path), self.rng.choice(PINNED) * 10**9)

    def publish(self, path: str) -> None:
        assert self.publisher is not None
        self.put(self.folder / "r0", path, self.next(path))
        self.publisher.publish(self.current)

    def copy_again(self, path: str) -> None:
        """A published file, as rsync or ``cp -r`` copies it once more over itself."""
        stem, _, ext = path.rpartition(".")
        file = self.rng.choice(sorted(self.current.glob(f"{stem}-*.{ext}")))
        data = file.read_bytes()
        if self.by_proxy:
            (self.folder / "copy").write_bytes(data)
            os.replace(self.folder / "copy", file)
            return
        with file.open("wb") as copy:
            for start in range(0, len(data), len(data) // 2 + 1):
                copy.write(data[start : start + len(data) // 2 + 1])
                copy.flush()
                time.sleep(self.rng.choice([0, 0.001, 0.02]))

    def restore(self, path: str) -> None:
        """A backup: earlier bytes with an earlier time, beside a sibling of today."""
        self.leave_sibling(path)
        self.replace(path, content(path, 1 + list(FILES).index(path)), (int(time.time()) - 86_400) * 10**9)

    def leave_sibling(self, path: str) -> None:
        """A variant of what is there, or of what a client must not get any more."""
        data = (self.current / path).read_bytes() if self.rng.random() < 0.5 else content(path, 999_999)
        sibling = self.current / path
        if self.rng.random() < 0.5:
            sibling.with_name(sibling.name + ".gz").write_bytes(gzip.compress(data, 1))
        else:
            sibling.with_name(sibling.name + ".br").write_bytes(brotli.compress(data, quality=1))


@dataclass
class Clients:
    """What clients were given as immutable: by URL, the digests of the bodies."""

    port: int
    seed: int
    kept: dict[str, set[str]] = field(default_factory=dict)
    fetched: int = 0
    immutable: int = 0
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, until: float, origin: int) -> None:
        rng = random.Random(self.seed)
        self.seed += 1
        urls: list[str] = []
        while time.monotonic() < until:
            with (
                suppress(OSError, HTTPException),
                closing(HTTPConnection("127.0.0.1", origin, timeout=20)) as pages,
                closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as files,
            ):
                for turn in range(20):
                    if turn % 5 == 0:
                        pages.request("GET", "/urls")
                        urls = [*json.loads(pages.getresponse().read()), *urls[:20]]
                    self._fetch(files, rng.choice(urls), rng.choice(["identity", "br", "gzip"]))

    def _fetch(self, files: HTTPConnection, url: str, coding: str) -> None:
        files.request("GET", url, headers={"Accept-Encoding": coding})
        response = files.getresponse()
        body = response.read()  # raises where fewer bytes come than were promised
        with self._lock:
            self.fetched += 1
        if response.status != 200 or "immutable" not in (response.getheader("cache-control") or ""):
            return
        given = response.getheader("content-encoding")
        plain = body if given is None else CODINGS[given][1](body)
        with self._lock:
            self.immutable += 1
            self.kept.setdefault(url, set()).add(hashlib.sha256(plain).hexdigest())


def published(site: Site, fingerprint: object) -> tuple[Path, dict[str, str]]:
    """A manifest of the first release, and the digest that belongs to each of its names."""
    store = AssetStore({})
    store.static("/assets/", root=site.folder / "r0", name="assets", fingerprint=fingerprint)  # type: ignore[arg-type]
    (release,) = store.publish(site.folder / "published")
    assert isinstance(release, Published)
    file = site.folder / "manifest.json"
    file.write_bytes(dump(release.manifest))
    return file, {each.fingerprinted_path: each.sha256 for each in release.manifest.entries.values()}


@pytest.fixture
def site() -> Iterator[Site]:
    with open_folder() as folder:
        yield Site(folder, any_time=False, rng=random.Random(7))


#: What a mount may be given: its options, and whether a manifest.
MOUNTS = {
    "default": ({}, False),
    "content": ({"fingerprint": "content"}, False),
    "manifest": ({}, True),
    "rewritten": ({"fingerprint": "content", "references": "rewrite"}, False),
    "published": ({}, False),
}


def switched(
    site: Site,
    server: str,
    kind: str,
    seconds: float,
    start: ProcessStarter,
    front: Callable[[int], int] = lambda port: port,
    settings: Mapping[str, str] | None = None,
) -> Clients:
    """Switch and fetch for *seconds*; what the clients kept, checked. *front* starts what stands before the server."""
    options, with_manifest = MOUNTS[kind]
    site.any_time = kind != "default"
    site.publisher = AssetStore({}) if kind == "published" else None
    site.begin()
    names: dict[str, str] = {}
    if with_manifest:
        manifest, names = published(site, options.get("fingerprint", True))
        options = {**options, "manifest": str(manifest)}
    (site.folder / "site_that_switches.py").write_text(SITE)
    given = {"root": str(site.current), "options": options, "files": list(FILES), "settings": settings or {}}
    process = start.asgi("site_that_switches:app", server=server, folder=site.folder, env={"SITE": json.dumps(given)})
    clients = Clients(front(process.port), seed=1)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=clients.run, args=(until, process.port)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        site.change()
        # Long enough now and then for a file to be believed: two seconds after its time.
        time.sleep(site.rng.choice([0.01, 0.05, 0.2, 2.5 if site.rng.random() < 0.2 else 0.3]))
    for thread in threads:
        thread.join()
    assert wrong_of(clients, site, kind, names) == []
    assert clients.immutable > 0, "or nothing was proven"
    print(f"{kind} on {server}: {clients.fetched} fetches, {clients.immutable} immutable, {site.done}")
    return clients


def wrong_of(clients: Clients, site: Site, kind: str, names: dict[str, str]) -> list[str]:
    wrong = []
    for url, digests in clients.kept.items():
        fingerprint = fingerprints.split(url)[1]
        if len(digests) != 1:
            wrong.append(f"{url} has {len(digests)} bodies")
        (digest, *_) = digests
        if kind in {"content", "rewritten", "published"}:
            if digest != fingerprint:
                wrong.append(f"{url} has the bytes of {digest}")
        elif digest not in site.whole:
            wrong.append(f"{url} has bytes that never were one version")
        elif (published := names.get(url.removeprefix("/assets/"))) is not None and published != digest:
            wrong.append(f"{url} has not the published bytes")
    return wrong


@pytest.mark.soak
@pytest.mark.parametrize("kind", MOUNTS)
@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_no_immutable_response_has_other_bytes_than_its_name_says(
    site: Site, server: str, kind: str, start_process: ProcessStarter, soak_seconds: float
) -> None:
    switched(site, server, kind, soak_seconds, start_process)


#: Each kind of mount behind one CDN: what a CDN keeps is the origin's response, of which the test above has all pairs.
@pytest.mark.soak
@pytest.mark.parametrize(
    ("cdn", "kind"), [("nginx", "default"), ("nginx", "rewritten"), ("varnish", "content"), ("varnish", "manifest")]
)
def test_nor_does_a_cdn_between_keep_any(
    site: Site, kind: str, cdn: str, start_process: ProcessStarter, edge: StartEdge, soak_seconds: float
) -> None:
    switched(site, "uvicorn", kind, soak_seconds, start_process, lambda port: edge(cdn, port).port)


@pytest.mark.soak
@pytest.mark.parametrize(("server", "kind"), [("uvicorn", "default"), ("granian", "content"), ("uvicorn", "published")])
def test_nor_does_a_proxy_that_opens_the_files_itself_send_any(
    site: Site, server: str, kind: str, start_process: ProcessStarter, soak_seconds: float
) -> None:
    nginx = KINDS["nginx"]

    site.by_proxy = True

    def front(port: int) -> int:
        return start_proxy(nginx, start_process, site.folder / "nginx", app_port=port, files=site.folder).port

    switched(site, server, kind, soak_seconds, start_process, front, nginx.settings)
