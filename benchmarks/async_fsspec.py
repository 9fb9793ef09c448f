"""Whether filesystems of fsspec that are asynchronous themselves are better read on the event loop than in threads.

    python -m benchmarks.async_fsspec

s3fs against moto in a process of its own: 16 clients read small and large objects, one GET each. "threads" is what serving
does: the synchronous face of s3fs in worker threads, which hands each call to fsspec's own loop and waits. "loop" awaits
the coroutines of a second s3fs, made with ``asynchronous=True``, on the loop that serves. Both open with one `info` and read
with one ranged GET. Reported are reads a second and processor time of this process for one read; rounds alternate.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import boto3
import s3fs

from assetstore.backends.fsspec.backend import FilesystemBackend
from assetstore.backends.reader import ThreadReader

CLIENTS, ROUNDS, SECONDS = 16, 5, 2.0
SIZES = {"4 KB": 4 * 1024, "1 MB": 1024 * 1024}
KEYS = {"key": "testing", "secret": "testing"}

Read = Callable[[], Awaitable[int]]


async def measured(read: Read) -> tuple[float, float]:
    """Reads a second, and milliseconds of processor time for one."""
    count, until = 0, time.perf_counter() + SECONDS

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await read()
            count += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1000


async def main(endpoint: str) -> None:
    where: dict[str, Any] = {**KEYS, "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}
    reader = ThreadReader(FilesystemBackend(s3fs.S3FileSystem(skip_instance_cache=True, **where), "bench"))
    own = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, use_listings_cache=False, **where)
    session = await own.set_session()

    async def in_threads(name: str) -> int:
        opened = await reader.open(name)
        try:
            return sum([len(chunk) async for chunk in opened.chunks(0, opened.stat.size)])
        finally:
            await opened.aclose()

    async def on_the_loop(name: str) -> int:
        info = await own._info(f"bench/{name}")
        return len(await own._cat_file(f"bench/{name}", start=0, end=info["size"]))

    for label, size in SIZES.items():
        found: dict[str, list[tuple[float, float]]] = {"threads": [], "loop": []}
        for _ in range(ROUNDS):
            for way, read in (("threads", in_threads), ("loop", on_the_loop)):
                assert await read(str(size)) == size
                found[way].append(await measured(partial(read, str(size))))
        for way, rows in found.items():
            rate, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"{label:>5} {way:>8}: {rate:7.0f} reads/s, {cpu:6.2f} ms CPU a read")
    await session.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="t", aws_secret_access_key="t", region_name="us-east-1"
        )
        for _ in range(100):
            try:
                client.create_bucket(Bucket="bench")
                break
            except Exception:
                time.sleep(0.1)
        for size in SIZES.values():
            client.put_object(Bucket="bench", Key=str(size), Body=bytes(size))
        asyncio.run(main(url))
    finally:
        server.terminate()
        server.wait()
