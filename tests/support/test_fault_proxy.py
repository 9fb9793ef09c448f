"""The proxy breaks as it is told, at once, and only so."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.config import Config

from servers.fault_proxy import FaultProxy
from servers.faults import (
    BROKEN,
    EXPIRED_TOKEN,
    FORBIDDEN,
    NOT_FOUND,
    REFUSE,
    RESET,
    SLOW_DOWN,
    Delay,
    Drip,
    Garble,
    Meanwhile,
    Stall,
    Truncate,
)
from servers.s3 import S3Bucket, S3Server

BODY = bytes(range(256)) * 1000


class Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "big.bin").write_bytes(BODY)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Files(*args, directory=str(folder)))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(upstream: str, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    return fault_proxy(upstream)


def get(proxy: FaultProxy, path: str = "/big.bin", timeout: float = 10) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_healthy_proxy_changes_nothing_and_counts(proxy: FaultProxy) -> None:
    assert get(proxy) == (200, BODY)
    assert [(each.method, each.path) for each in proxy.requests] == [("GET", "/big.bin")]


def test_refuse_means_that_nobody_listens(proxy: FaultProxy) -> None:
    proxy.use(REFUSE)
    with pytest.raises(ConnectionRefusedError):
        get(proxy)
    proxy.heal()
    assert get(proxy) == (200, BODY)


def test_refuse_cuts_what_is_under_way(proxy: FaultProxy) -> None:
    proxy.use(Stall(after=10))
    threading.Timer(0.1, proxy.use, [REFUSE]).start()
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        get(proxy)


def test_reset_is_a_reset(proxy: FaultProxy) -> None:
    proxy.use(RESET)
    with pytest.raises(ConnectionResetError):
        get(proxy)


def test_delay_holds_the_head_back(proxy: FaultProxy) -> None:
    proxy.use(Delay(30))
    with pytest.raises(TimeoutError):
        get(proxy, timeout=0.1)


def test_healing_ends_a_delay(proxy: FaultProxy) -> None:
    proxy.use(Delay(30))
    threading.Timer(0.1, proxy.heal).start()
    started = time.monotonic()
    assert get(proxy) == (200, BODY)
    assert time.monotonic() - started < 5


def test_drip_is_slow_and_whole(proxy: FaultProxy) -> None:
    proxy.use(Drip(piece=32_000, pause_seconds=0.02))
    started = time.monotonic()
    assert get(proxy) == (200, BODY)
    assert time.monotonic() - started > 0.15


def test_truncate_ends_early_under_the_whole_length(proxy: FaultProxy) -> None:
    proxy.use(Truncate(after=100))
    with pytest.raises(http.client.IncompleteRead) as error:
        get(proxy)
    assert error.value.partial == BODY[:100]


def test_garble_changes_one_byte(proxy: FaultProxy) -> None:
    proxy.use(Garble(at=70_000))
    status, body = get(proxy)
    assert (status, len(body)) == (200, len(BODY))
    assert [at for at in range(len(BODY)) if body[at] != BODY[at]] == [70_000]


def test_meanwhile_acts_once_in_the_middle(proxy: FaultProxy) -> None:
    acted: list[str] = []
    proxy.use(Meanwhile(lambda: acted.append("changed"), after=1000))
    assert get(proxy) == (200, BODY)
    assert acted == ["changed"]


def test_a_fault_can_be_for_some_requests_and_some_times(proxy: FaultProxy) -> None:
    proxy.use(BROKEN, when=lambda seen: seen.path == "/big.bin", times=1)
    assert [get(proxy, path)[0] for path in ("/other", "/big.bin", "/big.bin")] == [404, 500, 200]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (FORBIDDEN, 403, "AccessDenied"),
        (NOT_FOUND, 404, "NoSuchKey"),
        (BROKEN, 500, "InternalError"),
        (SLOW_DOWN, 503, "SlowDown"),
        (EXPIRED_TOKEN, 400, "ExpiredToken"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_boto3_reads_the_errors_as_s3s_own(
    fault: Any, status: int, code: str, moto_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_bucket.server.endpoint_url)
    once = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    client = S3Server("faulty", proxy.url).client(config=once)
    proxy.use(fault)
    with pytest.raises(client.exceptions.ClientError) as error:
        client.get_object(Bucket=moto_bucket.name, Key="a.css")
    client.close()
    answer = error.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code)


def test_signatures_hold_through_the_proxy(swift_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]) -> None:
    swift_bucket.put({"a b/ü.css": b"signed"})
    server = swift_bucket.server
    client = S3Server("swift", fault_proxy(server.endpoint_url).url, server.access_key, server.secret_key).client()
    assert client.get_object(Bucket=swift_bucket.name, Key="a b/ü.css")["Body"].read() == b"signed"
    client.close()


def test_closing_leaves_no_thread(upstream: str) -> None:
    proxy = FaultProxy(upstream)
    proxy.use(Stall(after=1))
    broken = (OSError, http.client.HTTPException)
    reader = threading.Thread(target=lambda: pytest.raises(broken, get, proxy))
    reader.start()
    while not proxy.requests:
        time.sleep(0.01)
    proxy.close()
    reader.join(5)
    assert [each for each in threading.enumerate() if each.name == "fault-proxy"] == []
