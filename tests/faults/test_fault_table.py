"""Each fault of a bucket, as a client of the whole service meets it: cold, and with an old copy in the cache."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from assetstore.backends.remote import CacheSettings, RemoteLimits
from servers.faults import (
    BROKEN,
    EXPIRED_TOKEN,
    FORBIDDEN,
    NOT_FOUND,
    REFUSE,
    RESET,
    SLOW_DOWN,
    WRONG_SECRET,
    Delay,
    Drip,
    ErrorAnswer,
    Fault,
    Garble,
    Stall,
    Truncate,
)

SMALL = b"body { color: red }\n" * 100
LARGE = bytes(range(256)) * 32 * 1024  # 8 MiB
CHANGED = ErrorAnswer(412, "PreconditionFailed")

OUTAGES = [
    pytest.param(REFUSE, 503, id="nobody listens"),
    pytest.param(RESET, 503, id="connections are reset"),
    pytest.param(BROKEN, 503, id="internal error"),
    pytest.param(SLOW_DOWN, 503, id="slow down"),
    pytest.param(EXPIRED_TOKEN, 503, id="expired token"),
    pytest.param(WRONG_SECRET, 503, id="wrong secret"),
    pytest.param(Delay(30), 504, id="no answer in time"),
]


def assert_tells_nothing(answer: Any) -> None:
    """No word of the provider's, and nothing that a cache may keep."""
    told = answer.body + repr(answer.headers).encode()
    assert b"secret-detail" not in told
    assert b"RequestId" not in told
    assert b"127.0.0.1" not in told
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.body) < 100


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        *OUTAGES,
        pytest.param(NOT_FOUND, 404, id="missing"),
        pytest.param(FORBIDDEN, 404, id="forbidden"),
        pytest.param(Stall(after=100), 504, id="a body that stops"),
        pytest.param(Drip(piece=1, pause_seconds=0.1), 504, id="a body that drips"),
        pytest.param(Truncate(after=100), 502, id="a body that ends early"),
        pytest.param(CHANGED, 502, id="another version, and again"),
    ],
)
def test_a_file_never_seen_gets_the_status_of_its_fault(each_service: Any, fault: Fault, status: int) -> None:
    each_service.put("app.css", SMALL)
    each_service.breaks(fault, when=each_service.about("app.css"))
    began = time.monotonic()
    answer = each_service.get("app.css")
    status = each_service.bucket.statuses.get(type(fault), status)
    assert answer.status == status
    assert time.monotonic() - began < 30
    assert_tells_nothing(answer)
    head = each_service.get("app.css", method="HEAD")
    if not isinstance(fault, Stall | Drip | Truncate):  # those need a body
        assert head.status == status
    each_service.proxy.heal()
    each_service.store.refresh()
    assert each_service.get("app.css").body == SMALL


@pytest.mark.parametrize(("fault", "status"), OUTAGES)
def test_a_file_seen_before_survives_an_outage_and_says_so(each_service: Any, fault: Fault, status: int) -> None:
    each_service.put("app.css", SMALL)
    before = each_service.get("app.css")
    each_service.breaks(fault)
    for headers in ({}, {"Range": "bytes=10-19"}, {"If-None-Match": before.headers["etag"]}):
        answer = each_service.get("app.css", headers)
        assert answer.status in {200, 206, 304}
        assert answer.headers["age"].isdigit()
        assert answer.headers["cache-status"] == "assetstore; hit; detail=stale-if-error"
        assert answer.headers["etag"] == before.headers["etag"]
    assert each_service.get("app.css").body == SMALL
    each_service.proxy.heal()
    assert "age" not in each_service.get("app.css").headers


def test_an_old_copy_says_how_old_it_is(each_service: Any) -> None:
    each_service.put("app.css", SMALL)
    each_service.get("app.css")
    time.sleep(1.1)
    each_service.proxy.use(RESET)
    assert int(each_service.get("app.css").headers["age"]) >= 1


@pytest.mark.parametrize(
    ("fault", "status"), [pytest.param(NOT_FOUND, 404, id="missing"), pytest.param(FORBIDDEN, 404, id="forbidden")]
)
def test_a_definite_answer_is_no_outage(each_service: Any, fault: Fault, status: int) -> None:
    each_service.put("app.css", SMALL)
    assert each_service.get("app.css").status == 200
    each_service.breaks(fault, when=each_service.about("app.css"))
    assert each_service.get("app.css").status == status


def test_the_window_of_an_outage_ends(make_service: Any) -> None:
    service = make_service(cache=CacheSettings(ttl_seconds=0, stale_seconds=0.5))
    service.put("app.css", SMALL)
    service.get("app.css")
    service.proxy.use(RESET)
    assert service.get("app.css").status == 200
    time.sleep(0.6)
    assert service.get("app.css").status == 503


def test_a_fingerprinted_file_is_served_for_as_long_as_it_is_held(make_service: Any) -> None:
    service = make_service(cache=CacheSettings(ttl_seconds=0, stale_seconds=0))
    service.put("app.css", SMALL)
    service.store.refresh()
    url = service.store.url_for("media", file="app.css").removeprefix("/media/")
    before = service.get(url)
    assert "immutable" in before.headers["cache-control"]
    asked = len(service.asked("app.css"))
    service.proxy.use(REFUSE)
    time.sleep(0.1)
    for headers, status in (({}, 200), ({"If-None-Match": before.headers["etag"]}, 304)):
        answer = service.get(url, headers)
        assert answer.status == status
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["cache-status"] == "assetstore; hit"
    assert service.get("app.css").status == 503
    assert len(service.asked("app.css")) == asked


def test_forbidden_is_missing_without_a_word_only_where_the_mount_says_so(make_service: Any) -> None:
    service = make_service(options={"forbidden_is_missing": True})
    service.proxy.use(FORBIDDEN)
    assert service.get("app.css").status == 404


def test_forbidden_is_loud(make_service: Any, caplog: pytest.LogCaptureFixture) -> None:
    service = make_service()
    service.proxy.use(FORBIDDEN)
    with caplog.at_level(logging.ERROR, "assetstore"):
        service.get("app.css")
    assert any("app.css" in each.message and "404" in each.message for each in caplog.records)


def test_a_throttled_client_is_told_when_to_come_back(each_service: Any) -> None:
    each_service.breaks(SLOW_DOWN)
    assert each_service.get("app.css").headers["retry-after"] == "3"


@pytest.mark.parametrize("fault", [RESET, BROKEN], ids=["reset", "internal error"])
def test_a_fault_that_passes_is_not_seen(service: Any, fault: Fault) -> None:
    service.put("app.css", SMALL)
    service.proxy.use(fault, times=2, when=lambda seen: seen.path.endswith("/app.css"))
    assert service.get("app.css").body == SMALL
    assert service.asked("app.css") == ["GET"] * 3


def test_there_are_no_more_than_three_attempts(service: Any) -> None:
    service.proxy.use(RESET)
    service.get("app.css")
    assert service.asked("app.css") == ["GET"] * 3


def test_expired_credentials_are_renewed_once(make_service: Any) -> None:
    service = make_service(index="lazy", manifest=False)  # requests in the background would renew them too
    service.proxy.use(EXPIRED_TOKEN)
    service.get("app.css")
    assert service.asked("app.css") == ["GET"] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range_past_the_end_is_416(each_service: Any, method: str) -> None:
    each_service.put("app.css", SMALL)
    answer = each_service.get("app.css", {"Range": "bytes=999999-"}, method)
    if method == "HEAD":  # a HEAD has no ranges
        assert answer.status == 200
    else:
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{len(SMALL)}"


class TestBodies:
    """What goes wrong after the headers went out breaks the connection; nothing short passes as whole."""

    def test_a_large_body_that_breaks_off_is_read_on(self, service: Any) -> None:
        service.put("film.bin", LARGE)
        service.proxy.use(Truncate(after=3_000_000), times=1, when=lambda seen: seen.path.endswith("film.bin"))
        answer = service.get("film.bin")
        assert answer.whole
        assert answer.body == LARGE
        assert service.asked("film.bin") == ["GET", "GET"]

    @pytest.mark.parametrize("fault", [Truncate(after=1_000_000), Stall(after=1_000_000)], ids=["cut", "stalled"])
    def test_one_that_breaks_off_again_and_again_never_passes_as_whole(self, each_service: Any, fault: Fault) -> None:
        each_service.put("film.bin", LARGE)
        each_service.breaks(fault, when=each_service.bytes_of("film.bin"))
        answer = each_service.get("film.bin")
        if each_service.bucket.in_pieces and answer.status != 200:  # of which none has arrived
            assert answer.status in {502, 504}
            return
        assert answer.status == 200
        assert not answer.whole
        assert LARGE.startswith(answer.body)

    def test_a_small_garbled_body_is_refused(self, each_service: Any) -> None:
        each_service.put("app.css", SMALL, checksum=True)
        each_service.breaks(Garble(at=50), when=each_service.bytes_of("app.css"))
        assert each_service.get("app.css").status == 502
        each_service.proxy.heal()
        assert each_service.get("app.css").body == SMALL

    def test_a_large_garbled_body_breaks_the_connection(self, each_service: Any) -> None:
        each_service.put("film.bin", LARGE, checksum=True)
        each_service.breaks(Garble(at=3_000_000), when=each_service.bytes_of("film.bin"))
        answer = each_service.get("film.bin")
        assert not answer.whole
        each_service.proxy.heal()
        answer = each_service.get("film.bin")
        assert (answer.whole, answer.body == LARGE) == (True, True)

    def test_a_file_that_changes_in_mid_read_is_never_mixed(self, each_service: Any) -> None:
        each_service.put("film.bin", LARGE)
        new = LARGE[::-1]
        each_service.breaks(
            CutAndThen(2_000_000, lambda: each_service.put("film.bin", new)),
            times=1,
            when=each_service.bytes_of("film.bin"),
        )
        answer = each_service.get("film.bin")
        if each_service.bucket.in_pieces and answer.whole:  # nothing of the old version was sent yet
            assert answer.body == new
        else:
            assert not answer.whole
            assert LARGE.startswith(answer.body)
        assert each_service.get("film.bin").body == new

    def test_a_file_that_changes_between_look_and_read_is_read_anew(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(ttl_seconds=60))
        service.put("app.css", SMALL)
        assert service.get("app.css", method="HEAD").status == 200
        service.put("app.css", b"new")
        assert service.get("app.css").body == b"new"
        assert service.asked("app.css") == ["HEAD", "GET", "GET"]

    def test_a_client_that_leaves_gives_the_connection_back(self, service: Any) -> None:
        import socket

        service.put("film.bin", LARGE)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", service.port)) as client:
                client.sendall(b"GET /media/film.bin HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(10_000)
        deadline = time.monotonic() + 20
        while open_bodies(service) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert open_bodies(service) == 0


class TestBreaker:
    QUICK = RemoteLimits(
        connect_seconds=1.0, read_seconds=1.0, total_seconds=3.0, breaker_faults=3, breaker_seconds=0.3
    )

    def test_a_storage_that_is_down_is_left_alone_and_probed(self, make_service: Any) -> None:
        service = make_service(limits=self.QUICK, cache=CacheSettings(ttl_seconds=0, miss_seconds=0))
        service.put("app.css", SMALL)
        service.put("other.css", SMALL)
        service.get("app.css")
        service.proxy.use(RESET)
        service.get("other.css")
        began = time.monotonic()
        asked = len(service.asked("other.css"))
        assert asked == 3
        for _ in range(20):
            answer = service.get("other.css")
            assert answer.status == 503
            assert answer.headers["retry-after"]
            assert service.get("app.css").body == SMALL
        took = time.monotonic() - began
        probes = len(service.asked("other.css") + service.asked("app.css")) - asked - 1
        assert probes <= took / 0.3 + 1
        service.proxy.heal()
        assert within(20, lambda: service.get("other.css").status == 200)

    def test_it_is_said_in_the_log_once(self, make_service: Any, caplog: pytest.LogCaptureFixture) -> None:
        service = make_service(limits=self.QUICK)
        service.proxy.use(RESET)
        with caplog.at_level(logging.WARNING, "assetstore.storage"):
            for _ in range(5):
                service.get("app.css")
            service.proxy.heal()
            assert within(20, lambda: service.get("app.css").status == 404)
        said = [each.message for each in caplog.records if each.name == "assetstore.storage"]
        assert len(said) == 2
        assert "is down" in said[0]
        assert "answers again" in said[1]


class TestOneRequest:
    """What a bucket is asked for, as the proxy saw it."""

    def test_cold_and_hot(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(ttl_seconds=60), limits=RemoteLimits())
        service.put("app.css", SMALL)
        for _ in range(3):
            assert service.get("app.css").body == SMALL
        assert service.asked("app.css") == ["GET"]

    def test_a_large_file_is_one_request(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(ttl_seconds=60), limits=RemoteLimits())
        service.put("film.bin", LARGE)
        assert service.get("film.bin").body == LARGE
        assert service.asked("film.bin") == ["GET"]

    def test_a_head_opens_no_body(self, service: Any) -> None:
        service.put("app.css", SMALL)
        assert service.get("app.css", method="HEAD").headers["content-length"] == str(len(SMALL))
        assert service.asked("app.css") == ["HEAD"]

    def test_a_range_is_one_ranged_request(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(ttl_seconds=60), limits=RemoteLimits())
        service.put("film.bin", LARGE)
        answer = service.get("film.bin", {"Range": "bytes=1000000-1999999"})
        assert (answer.status, answer.body) == (206, LARGE[1_000_000:2_000_000])
        assert service.asked("film.bin") == ["GET"]
        ranged = [seen.headers["Range"] for seen in service.proxy.requests if "Range" in seen.headers]
        assert ranged == [f"bytes={3 * 262144}-{8 * 262144 - 1}"]

    def test_many_cold_clients_are_one_request(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(ttl_seconds=60), limits=RemoteLimits())
        service.put("app.css", SMALL)
        service.proxy.use(Delay(0.3), when=lambda seen: seen.path.endswith("app.css"))
        bodies: list[bytes] = []
        clients = [threading.Thread(target=lambda: bodies.append(service.get("app.css").body)) for _ in range(60)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert bodies == [SMALL] * 60
        assert service.asked("app.css") == ["GET"]

    def test_a_miss_is_one_request(self, make_service: Any) -> None:
        service = make_service(cache=CacheSettings(miss_seconds=60))
        assert [service.get("gone.css").status for _ in range(5)] == [404] * 5
        assert service.asked("gone.css") == ["GET"]
        service.put("gone.css", SMALL)
        service.store.refresh()
        assert service.get("gone.css").body == SMALL


@dataclass(frozen=True, slots=True)
class CutAndThen(Fault):
    """The body ends after so many bytes; by then *action* is done."""

    after: int
    action: Callable[[], object]

    def body(self, chunks: Iterator[bytes], wait: Callable[[float], None]) -> Iterator[bytes]:
        yield from Truncate(self.after).body(chunks, wait)
        self.action()


def open_bodies(service: Any) -> int:
    return len(service.store.mounts.named("media").remote.reader._blocks.streams)


def within(seconds: float, check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return False
