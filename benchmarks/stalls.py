"""The suite that asks how long the event loop is held: the longest stall under each kind of work that has caused one."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import bucket, names, servers
from benchmarks.frame import Comparison, Options, Target, interleaved

TITLE = "the longest stall of the event loop"
OURS, STARLETTE = "assetstore", "Starlette StaticFiles"
ALLOWED = "20 ms, or Starlette's where that is longer"
ALLOWED_MILLISECONDS = 20.0
#: A stall is no matter of the mean: a few rounds show whether it is there.
ROUNDS = 3

_MEBI = 1024 * 1024
#: Clients of one large object at once, and its size.
CLIENTS, LARGE_BYTES = 300, 20 * _MEBI
#: Files where there are many, and other numbers of the works below.
MANY, NAMED, SHEETS, REFERENCES, MISSING, RELEASED = 50_000, 300, 200, 50, 40_000, 200_000


@dataclass(frozen=True, slots=True)
class Site:
    """What a server is started over."""

    #: Options of ``static()``.
    options: Mapping[str, Any]
    #: Names that its page writes.
    names: list[str] = field(default_factory=list)
    import_map: Mapping[str, Any] = field(default_factory=dict)
    #: A folder for a disk cache, which is slow.
    slow_disk: Path | None = None
    #: Where Starlette finds the files, if that is not the root.
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Something that has held an event loop."""

    title: str
    #: Makes the files in an empty folder.
    make: Callable[[Path, ExitStack], Site]
    #: Sends requests to the server at a port.
    drive: Callable[[int], None]


def measure(options: Options) -> Iterator[Comparison]:
    """Each work on a fresh server, for assetstore and for Starlette."""
    for work in WORKS:
        if options.match not in work.title:
            continue
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assetstore-stalls-")))
            folder.chmod(0o755)  # nginx, which stands for a bucket, reads it as another user
            site = work.make(folder, stack)
            measures = {subject: partial(_stall, subject, site, work, options.cpu) for subject in (OURS, STARLETTE)}
            samples = interleaved(measures, min(options.rounds, ROUNDS))
        samples[ALLOWED] = tuple(max(ALLOWED_MILLISECONDS, each) for each in samples[STARLETTE])
        yield Comparison(work.title, "ms", samples, ALLOWED, (Target(OURS, ALLOWED, at_most=1.0),))


def _stall(subject: str, site: Site, work: Work, busy: bool) -> float:
    """Milliseconds of the longest stall of a fresh server; with *busy* only those in which it had the processor."""
    port = servers.free_port()
    environment = {
        "STALLS_SUBJECT": "starlette" if subject == STARLETTE else "assetstore",
        "STALLS_OPTIONS": json.dumps(site.options),
        "STALLS_FOLDER": str(site.folder or site.options["root"]),
        "STALLS_NAMES": json.dumps(site.names),
        "STALLS_IMPORT_MAP": json.dumps(site.import_map),
        **({"STALLS_SLOW_DISK": str(site.slow_disk)} if site.slow_disk else {}),
    }
    with servers.running(servers.uvicorn("benchmarks.apps.stalls:app", port), port, environment):
        _get(port, "/stalls")  # what start-up took is no stall: nobody is served yet
        work.drive(port)
        found = json.loads(_get(port, "/stalls"))
    return float(found["busy" if busy else "longest"]) * 1e3


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {response.read()[:200]!r}")
        return response.read()
    finally:
        connection.close()


def _pages(port: int, seconds: float = 3.0) -> None:
    """Ask for a page time and again, as visitors do, while names are made in the background."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _get(port, "/page")
        time.sleep(0.02)


def _refreshes(port: int) -> None:
    """Visitors, while names are read anew."""
    with ThreadPoolExecutor(1) as pool:
        refreshed = pool.submit(_get, port, "/refresh")
        while not refreshed.done():
            _pages(port, 0.5)
        refreshed.result()


def _downloads(port: int) -> None:
    """Clients that read one large file at once, each from the start to the end."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /assets/large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = len(await reader.readuntil(b"\r\n\r\n"))
        while piece := await reader.read(256 * 1024):
            received += len(piece)
        writer.close()
        if received < LARGE_BYTES:
            raise RuntimeError(f"a client got {received} bytes of {LARGE_BYTES}")

    async def everybody() -> None:
        await asyncio.gather(*(one() for _ in range(CLIENTS)))

    asyncio.run(everybody())


def _leave(port: int) -> None:
    """Clients that begin a download of gigabytes and reset the connection."""
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"GET /assets/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(64 * 1024)
            time.sleep(0.2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.5)


def _ask_for_missing(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(MISSING):
        connection.request("GET", f"/assets/no/{number:06}/{'x' * 40}.css")
        connection.getresponse().read()
    connection.close()
    _get(port, "/collect")


def _cold(port: int) -> None:
    for number in range(40):
        _get(port, f"/assets/{number:03}.bin")


def _few(folder: Path, stack: ExitStack) -> Site:
    (folder / "app.css").write_text("a { color: red }")
    return Site({"root": str(folder)}, ["app.css"])


def _scripts(folder: Path, stack: ExitStack) -> Site:
    """An ordinary module of 1.9 MB, the same with as many modules that it imports, and 32 KB of opening brackets."""
    line = "export function f{0}(a, b) {{ return import('./m{1}.js').then(x => x.y(a ? [b] : {{c: `${{a}}`}})); }}\n"
    (folder / "large.js").write_text("".join(line.format(number, number % 50) for number in range(19_000)))
    (folder / "wide.js").write_text("".join(line.format(number, number) for number in range(19_000)))
    (folder / "brackets.js").write_text("(" * 32_000)
    for number in range(5_000):
        (folder / f"m{number}.js").write_text("export default 1;")
    return Site({"root": str(folder)}, ["large.js"], {"entries": ["large.js", "wide.js", "brackets.js"]})


def _many_files(folder: Path, stack: ExitStack) -> Site:
    for number in range(MANY):
        file = folder / f"{number // 1000:03}" / f"{number:06}.css"
        if number % 1000 == 0:
            file.parent.mkdir()
        file.write_bytes(b"%d" % number)
    return Site({"root": str(folder)}, ["000/000000.css"])


def _named_by_content(folder: Path, stack: ExitStack) -> Site:
    noise = random.Random(1)
    for number in range(NAMED):
        (folder / f"{number:03}.bin").write_bytes(noise.randbytes(40_000))
    return Site({"root": str(folder), "fingerprint": "content"}, [f"{number:03}.bin" for number in range(NAMED)])


def _rewritten(folder: Path, stack: ExitStack) -> Site:
    noise = random.Random(1)
    for number in range(SHEETS):
        urls = [f"{noise.randrange(NAMED):03}.bin" for _ in range(REFERENCES)]
        (folder / f"{number:03}.css").write_text(
            "".join(f".c{row} {{ background: url({url}); color: red }}\n" for row, url in enumerate(urls))
        )
    site = _named_by_content(folder, stack)
    sheets = [f"{number:03}.css" for number in range(SHEETS)]
    return Site({**site.options, "references": "rewrite"}, sheets)


def _listed(folder: Path, stack: ExitStack) -> Site:
    url = stack.enter_context(names.pages(names.MANY))
    return Site(_in_bucket("s3://b/assets", url), ["images/0000/photo-0000001.jpg"])


def _in_bucket(root: str, url: str) -> dict[str, Any]:
    keys = {"endpoint_url": url, "region": "us-east-1", "key": "bench", "secret": "bench"}
    return {"root": root, "storage_options": keys}


def _manifest(folder: Path, stack: ExitStack) -> Site:
    """A local root with a manifest."""
    from datetime import UTC, datetime

    from assetstore.names.manifest import Entry, Manifest, StoredObject, lines

    entries = {}
    for number in range(RELEASED):
        path, digest = f"images/{number // 1000:04}/photo-{number:07}.jpg", f"{number:064x}"
        stored = tuple(StoredObject(f"{path}{suffix}", 1000, digest, "0" * 16) for suffix in ("", ".br"))
        entries[path] = Entry(path, digest, 1000, digest, "sha384-" + "A" * 64, "image/jpeg", 10**18, stored)
    (folder / "root").mkdir()
    file = folder / "manifest.json"
    with file.open("wb") as output:
        output.writelines(lines(Manifest("r", datetime.now(UTC), None, entries)))
    return Site({"root": str(folder / "root"), "manifest": str(file)}, ["images/0000/photo-0000001.jpg"])


def _large(folder: Path, stack: ExitStack) -> Site:
    (folder / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
    return Site({"root": str(folder)})


def _large_object(folder: Path, stack: ExitStack) -> Site:
    (folder / bucket.NAME).mkdir()
    (folder / bucket.NAME / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
    url = stack.enter_context(bucket.serving(folder, folder / "scratch"))
    return Site(_in_bucket(f"s3://{bucket.NAME}", url), folder=folder / bucket.NAME)


def _huge(folder: Path, stack: ExitStack) -> Site:
    with (folder / "large.bin").open("wb") as output:
        output.truncate(3 * 1024 * _MEBI)
    return Site({"root": str(folder)})


def _slow_disk(folder: Path, stack: ExitStack) -> Site:
    (folder / bucket.NAME).mkdir()
    for number in range(40):
        (folder / bucket.NAME / f"{number:03}.bin").write_bytes(os.urandom(20_000))
    url = stack.enter_context(bucket.serving(folder, folder / "scratch"))
    return Site(_in_bucket(f"s3://{bucket.NAME}", url), slow_disk=folder / "cache", folder=folder / bucket.NAME)


WORKS = [
    Work("pages of one file", _few, _pages),
    Work("scripts of 1.9 MB and of 32,000 brackets in the import map", _scripts, _pages),
    Work(f"version and first page of {MANY:,} files", _many_files, _pages),
    Work(f"first page with {NAMED} names by content", _named_by_content, _pages),
    Work(f"first page with {SHEETS} style sheets, rewritten", _rewritten, _pages),
    Work(f"listing {names.MANY:,} keys", _listed, _refreshes),
    Work(f"a manifest of {RELEASED:,} assets", _manifest, _refreshes),
    Work(f"{CLIENTS} clients of one large file", _large, _downloads),
    Work(f"{CLIENTS} clients of one large object in a bucket", _large_object, _downloads),
    Work("clients that leave in the middle of 3 GB", _huge, _leave),
    Work(f"{MISSING:,} missing files, and a full collection", _few, _ask_for_missing),
    Work("a disk cache on a slow disk", _slow_disk, _cold),
]
