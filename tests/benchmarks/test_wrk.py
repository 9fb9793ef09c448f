"""What wrk says is read as it is meant."""

from __future__ import annotations

import pytest

from benchmarks import wrk

SAID = """Running 1m test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    52.11ms   10.02ms 101.00ms   80.00%
    Req/Sec   619.00     20.00   650.00     70.00%
  Latency Distribution
     50%   51.20ms
     75%   55.00ms
     90%   60.00ms
     99%   98.30ms
  1240 requests in 2.00s, 6.25GB read
Requests/sec:    620.00
Transfer/sec:      3.12GB
"""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrk, "_for_a_while", lambda command, seconds: SAID)


@pytest.mark.usefixtures("said")
def test_whole_answers_are_counted() -> None:
    assert wrk.pace(wrk.Request(1, "/"), 2) == wrk.Pace(620.0, 98.3, 1240)


@pytest.mark.usefixtures("said")
def test_of_long_answers_every_byte_counts() -> None:
    pace = wrk.pace(wrk.Request(1, "/", length=5 << 20), 2)
    assert (pace.rate, pace.count) == (3.12 * 1024 / 5, 6.25 * 1024 / 5)


def test_answers_with_another_status_are_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrk, "_for_a_while", lambda *_: SAID + "  Non-2xx or 3xx responses: 7\n")
    with pytest.raises(wrk.WrongAnswer, match="7 of 1240"):
        wrk.pace(wrk.Request(1, "/"), 2)


def test_broken_connections_are_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        wrk, "_for_a_while", lambda *_: SAID + "  Socket errors: connect 0, read 5, write 0, timeout 0\n"
    )
    with pytest.raises(wrk.WrongAnswer, match="read 5"):
        wrk.pace(wrk.Request(1, "/"), 2)
