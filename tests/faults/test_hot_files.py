"""Hot files outlive their bucket however it fails, one odd request closes no mount, and health says what is wrong."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from assetstore.backends.remote import CacheSettings, RemoteLimits
from servers.faults import (
    BROKEN,
    FORBIDDEN,
    LONG_KEY,
    NO_BUCKET,
    PAGE,
    PAGE_WITH_ETAG,
    RESET,
    SLOW_DOWN,
    Fault,
    Redirect,
    Truncate,
    WrongLength,
)
from waiting import eventually

LIMITS = RemoteLimits(
    connect_seconds=5.0, read_seconds=5.0, total_seconds=15.0, attempts=1, breaker_faults=3, breaker_seconds=0.2
)


def state(service: Any) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request("GET", "/assets-health")
        response = connection.getresponse()
        return response.status, json.loads(response.read())["mounts"]["media"]
    finally:
        connection.close()


#: The version is confirmed with every request.
CACHE = CacheSettings(ttl_seconds=0, stale_wait_seconds=2.0)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NO_BUCKET, "unreachable"),
        (BROKEN, "unreachable"),
        (SLOW_DOWN, "unreachable"),
        (RESET, "unreachable"),
        (PAGE, "refused"),
        (PAGE_WITH_ETAG, "refused"),
        (WrongLength(), None),
    ],
    ids=["no bucket", "500", "throttled", "reset", "captive portal", "captive portal with an ETag", "wrong length"],
)
@pytest.mark.parametrize("reader", ["aiohttp", "threads"])
def test_a_hot_file_outlives_its_bucket_and_health_says_it(
    make_service: Any, fault: Fault, expected: str | None, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assetstore.monitoring.RECENT_SECONDS", 0.0)
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", options={"reader": reader}, fingerprint=False)
    service.put("app.js", b"right" * 300)
    assert service.get("app.js").status == 200
    service.proxy.use(fault)
    for _ in range(4):
        answer = service.get("app.js")
        assert (answer.status, answer.body) == (200, b"right" * 300)
    if expected is not None:
        assert eventually(lambda: state(service) == (503, expected))
    service.proxy.heal()
    assert eventually(lambda: state(service) == (200, "ready"))
    assert service.get("app.js").status == 200


def test_a_bucket_that_forbids_everything_is_refused(make_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assetstore.monitoring.RECENT_SECONDS", 0.0)
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", fingerprint=False)
    service.put("app.js", b"x")
    assert service.get("app.js").status == 200
    service.proxy.use(FORBIDDEN)
    assert eventually(lambda: state(service) == (503, "refused"))
    service.proxy.heal()
    assert eventually(lambda: state(service) == (200, "ready"))


def test_a_hot_file_that_was_deleted_is_gone(make_service: Any) -> None:
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", fingerprint=False)
    service.put("app.js", b"x")
    assert service.get("app.js").status == 200
    service.delete("app.js")
    assert service.get("app.js").status == 404


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Redirect(), 404), (LONG_KEY, 404), (PAGE, 502), (FORBIDDEN, 404), (Truncate(3), 502), (BROKEN, 503)],
    ids=["redirect", "long key", "page", "forbidden", "truncated", "500"],
)
@pytest.mark.parametrize("plain", [False, True], ids=["bucket", "origin"])
def test_no_request_closes_a_mount_to_others(make_service: Any, fault: Fault, status: int, plain: bool) -> None:
    if plain and fault is LONG_KEY:
        status = 502  # a 400 of which only S3 says that it is about the key
    elif not plain and isinstance(fault, Redirect):
        status = 503  # S3 redirects to another region
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", plain=plain, fingerprint=False)
    for number in range(14):
        service.put(f"{number}.js", b"fine")
    service.put("odd.js", b"never comes")
    assert service.get("0.js").status == 200
    service.proxy.use(fault, when=lambda seen: "odd.js" in seen.path)
    for number in range(1, 14):
        odd = service.get("odd.js")
        assert odd.status in {status, 200 if status == 502 and not odd.whole else status}
        assert service.get(f"{number}.js").status == 200
    for _ in range(5):
        service.get("odd.js")
    assert state(service) == (200, "ready")
    assert service.get("0.js").status == 200


def test_a_key_beyond_the_limit_of_s3_is_not_requested(make_service: Any) -> None:
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy")
    assert service.get("k" * 1020).status == 404
    assert not [seen for seen in service.proxy.requests if "kkkk" in seen.path]


def test_the_odd_file_is_served_when_it_is_whole_again(make_service: Any) -> None:
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", fingerprint=False)
    service.put("app.js", b"right")
    service.proxy.use(PAGE)
    assert service.get("app.js").status == 502
    service.proxy.heal()
    began = time.monotonic()
    answer = service.get("app.js")
    assert (answer.status, answer.body) == (200, b"right")
    assert time.monotonic() - began < 5


def test_health_says_that_a_bucket_is_gone_while_hot_files_are_served(make_service: Any) -> None:
    """Also where every version is confirmed by a HEAD, which says 404 for the bucket as for a file."""
    service = make_service(limits=LIMITS, cache=CACHE, index="lazy", fingerprint=False)
    for name in ("a.js", "b.js"):
        service.put(name, b"right")
        assert service.get(name).status == 200
    service.proxy.use(NO_BUCKET)
    for _ in range(6):
        assert service.get("a.js").status == service.get("b.js").status == 200
        assert service.get("a.js", method="HEAD").status == 200
    assert state(service) == (503, "unreachable")
