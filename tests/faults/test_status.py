"""The routes for a load balancer and for Prometheus, while a bucket comes and goes."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from assetstore.backends.remote import RemoteLimits
from servers.faults import FORBIDDEN, REFUSE, WRONG_SECRET, Delay
from waiting import eventually

LIMITS = RemoteLimits(connect_seconds=2.0, read_seconds=2.0, total_seconds=6.0, breaker_faults=1, breaker_seconds=0.1)


def ask(service: Any, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers["content-type"], response.read().decode()
    finally:
        connection.close()


def state(service: Any) -> tuple[int, str]:
    status, _, body = ask(service, "/assets-health")
    return status, json.loads(body)["mounts"]["media"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(REFUSE, "unreachable"), (WRONG_SECRET, "refused"), (Delay(30), "unreachable")],
    ids=["nobody listens", "wrong secret", "no answer in time"],
)
def test_it_follows_the_bucket_without_any_other_request(make_service: Any, fault: Any, expected: str) -> None:
    service = make_service(limits=LIMITS, index="lazy")
    assert state(service) == (200, "ready")
    service.proxy.use(fault)
    assert service.get("app.css").status >= 500
    assert state(service) == (503, expected)
    service.proxy.heal()
    assert within(20, lambda: state(service) == (200, "ready"))


def test_an_empty_bucket_is_not_an_unreachable_one(make_service: Any) -> None:
    service = make_service(limits=LIMITS)
    service.store.refresh()
    assert state(service) == (200, "empty")
    service.put("app.css", b"x")
    service.store.refresh()
    assert state(service) == (200, "ready")


def test_one_forbidden_file_makes_no_mount_unready(make_service: Any) -> None:
    service = make_service(limits=LIMITS, index="lazy")
    service.proxy.use(FORBIDDEN, when=lambda seen: "secret" in seen.path)
    assert service.get("secret.css").status == 404
    assert eventually(lambda: state(service) == (200, "ready"))


def test_it_tells_no_address(make_service: Any) -> None:
    service = make_service(limits=LIMITS)
    service.proxy.use(REFUSE)
    service.get("app.css")
    for path in ("/assets-health", "/assets-metrics"):
        told = ask(service, path)[2]
        assert service.bucket.name not in told
        assert "127.0.0.1" not in told


def test_prometheus_reads_what_was_counted(make_service: Any) -> None:
    service = make_service()
    service.put("app.css", b"x")
    service.get("app.css")
    status, content_type, text = ask(service, "/assets-metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'assetstore_answers_total{mount="media",outcome="miss"} 1\n' in text


def within(seconds: float, check: Any) -> bool:
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return False
