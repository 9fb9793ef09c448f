"""The same faults where a bucket is read by boto3 in threads, and where it is any HTTP origin."""

from __future__ import annotations

import time
from typing import Any

import pytest

from servers.faults import BROKEN, FORBIDDEN, NOT_FOUND, REFUSE, RESET, SLOW_DOWN, Delay, Fault, Stall, Truncate

SMALL = b"body { color: red }\n" * 100
LARGE = bytes(range(256)) * 32 * 1024  # 8 MiB


@pytest.fixture(params=["boto3 in threads", "an HTTP origin"])
def service(request: pytest.FixtureRequest, make_service: Any) -> Any:
    if request.param == "an HTTP origin":
        return make_service(plain=True)
    return make_service(options={"reader": "threads", "attempts": 1})


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(REFUSE, 503, id="nobody listens"),
        pytest.param(RESET, 503, id="connections are reset"),
        pytest.param(BROKEN, 503, id="internal error"),
        pytest.param(SLOW_DOWN, 503, id="slow down"),
        pytest.param(Delay(30), 504, id="no answer in time"),
    ],
)
def test_an_outage_has_its_status_and_is_survived_by_what_was_seen(service: Any, fault: Fault, status: int) -> None:
    service.put("seen.css", SMALL)
    service.put("app.css", SMALL)
    assert service.get("seen.css").body == SMALL
    time.sleep(1)  # until the memory of whole answers has forgotten it too
    service.proxy.use(fault)
    answer = service.get("app.css")
    assert answer.status == status
    assert b"secret-detail" not in answer.body
    stale = service.get("seen.css")
    assert (stale.status, stale.body) == (200, SMALL)
    assert stale.headers["cache-status"] == "assetstore; hit; detail=stale-if-error"


@pytest.mark.parametrize(
    ("fault", "status"), [pytest.param(NOT_FOUND, 404, id="missing"), pytest.param(FORBIDDEN, 404, id="forbidden")]
)
def test_a_definite_answer_has_its_status(service: Any, fault: Fault, status: int) -> None:
    service.proxy.use(fault)
    assert service.get("app.css").status == status


def test_a_large_body_that_breaks_off_is_read_on(service: Any) -> None:
    service.put("film.bin", LARGE)
    service.proxy.use(Truncate(after=3_000_000), times=1, when=lambda seen: seen.path.endswith("film.bin"))
    answer = service.get("film.bin")
    assert answer.whole
    assert answer.body == LARGE


@pytest.mark.parametrize("fault", [Truncate(after=1_000_000), Stall(after=1_000_000)], ids=["cut", "stalled"])
def test_one_that_breaks_off_again_and_again_breaks_the_connection(service: Any, fault: Fault) -> None:
    service.put("film.bin", LARGE)
    service.proxy.use(fault, when=lambda seen: seen.path.endswith("film.bin"))
    answer = service.get("film.bin")
    assert answer.status == 200
    assert not answer.whole
    assert LARGE.startswith(answer.body)


def test_a_cold_file_is_one_request(service: Any) -> None:
    service.put("film.bin", LARGE)
    assert service.get("film.bin").body == LARGE
    assert service.asked("film.bin") == ["GET"]
