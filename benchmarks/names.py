"""Measuring the names of a bucket: how long a listing takes, and how much memory it fills."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import psutil

from assetstore.backends.s3.backend import S3Backend
from assetstore.backends.s3.client import S3Options
from assetstore.names.listing import IndexResolver, Table
from benchmarks.frame import Comparison, Options, interleaved

MANY, MOST = 100_000, 1_000_000
PAGE = 1_000

_ROW = (
    "<Contents><Key>assets/images/{0:04}/photo-{1:07}.jpg</Key><LastModified>2026-11-22T12:00:00.000Z</LastModified>"
    "<ETag>&quot;{1:032x}&quot;</ETag><Size>{1}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
_PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name><EncodingType>url</EncodingType><IsTruncated>{0}</IsTruncated>"
    "<NextContinuationToken>{1}</NextContinuationToken>{2}</ListBucketResult>"
)


def measure(options: Options) -> Iterator[Comparison]:
    """Listing beside boto3's own, and the memory of a million names."""
    with pages(MANY) as url:
        listings: dict[str, Callable[[], float]] = {
            "boto3's paginator": lambda: _seconds(lambda: _by_boto3(url)),
            "assetstore": lambda: _seconds(lambda: _by_us(url)),
        }
        samples = interleaved(listings, min(options.rounds, 3))
        yield Comparison(f"listing {MANY:,} keys", "s", samples, "boto3's paginator")
    with pages(MOST) as url:
        seconds = (_seconds(lambda: _by_us(url)),)
        yield Comparison(f"listing {MOST:,} keys into the index", "s", {"assetstore": seconds}, "assetstore")
    kept = {kind: (_memory(kind),) for kind in HOLDERS}
    yield Comparison(f"memory of {MOST:,} names", "MiB", kept, "boto3's rows in a dict")


def _rows() -> Iterator[tuple[str, int]]:
    for number in range(MOST):
        yield f"assets/images/{number // PAGE:04}/photo-{number:07}.jpg", number


def _table() -> object:
    from assetstore.backends.base import FileStat

    return Table.of(FileStat(path, number, 10**18, f"{number:032x}") for path, number in _rows())


def _dicts() -> object:
    from datetime import UTC, datetime

    return {
        path: {
            "Key": path,
            "LastModified": datetime.fromtimestamp(number, UTC),
            "ETag": f'"{number:032x}"',
            "Size": number,
        }
        for path, number in _rows()
    }


HOLDERS: dict[str, Callable[[], object]] = {"boto3's rows in a dict": _dicts, "assetstore": _table}


def _memory(kind: str) -> float:
    """MiB that a fresh process takes for a million names."""
    said = subprocess.run([sys.executable, "-m", "benchmarks.names", kind], capture_output=True, text=True, check=True)
    return float(json.loads(said.stdout))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _by_us(url: str) -> None:
    options = {"endpoint_url": url, "region": "us-east-1", "key": "bench", "secret": "bench"}
    backend = S3Backend("b", "assets", S3Options.of(options))
    IndexResolver(backend, None).refresh()
    backend.client.close()


def _by_boto3(url: str) -> None:
    keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench", "region_name": "us-east-1"}
    client: Any = boto3.client("s3", endpoint_url=url, **keys)  # type: ignore[call-overload]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="b", Prefix="assets/")
    assert sum(len(page["Contents"]) for page in pages) == MANY
    client.close()


@contextmanager
def pages(count: int) -> Iterator[str]:
    """A server in a process of its own that lists *count* keys."""
    command = [sys.executable, "-m", "benchmarks.names", "serve", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class _Listing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = MANY

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        if "list-type" not in self.path:
            self.do_HEAD()
            return
        token = parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0]
        start = int(token)
        rows = "".join(_ROW.format(number // PAGE, number) for number in range(start, start + PAGE))
        more = start + PAGE < self.count
        body = _PAGE.format("true" if more else "false", start + PAGE, rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _serve(count: int) -> None:
    _Listing.count = count
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listing)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        before = psutil.Process().memory_info().rss
        held = HOLDERS[sys.argv[1]]()
        print(json.dumps((psutil.Process().memory_info().rss - before) / 2**20))
        del held
