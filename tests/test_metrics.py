"""The counters as text that Prometheus reads."""

from __future__ import annotations

import re

from assetstore.backends.remote.counters import Counters
from assetstore.monitoring import Health, MountHealth, State, prometheus_text

LINE = re.compile(r'[a-z_]+\{([a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+\} [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+')


def counters() -> Counters:
    counted = Counters()
    for outcome, times in (("hit", 7), ("miss", 3), ("collapsed", 2), ("stale", 1)):
        for _ in range(times):
            counted.count(outcome)  # type: ignore[arg-type]
    counted.requests = 4
    counted.seconds = 0.125
    counted.error(TimeoutError())
    return counted


def test_every_number_stands_under_its_mount() -> None:
    health = Health((MountHealth("media", State.READY, counters().counts()), MountHealth("assets", State.EMPTY)))
    told = prometheus_text(health).splitlines()
    assert 'assetstore_answers_total{mount="media",outcome="hit"} 7' in told
    assert 'assetstore_answers_total{mount="media",outcome="miss"} 3' in told
    assert 'assetstore_answers_total{mount="media",outcome="coalesced"} 2' in told
    assert 'assetstore_answers_total{mount="media",outcome="stale"} 1' in told
    assert 'assetstore_storage_requests_total{mount="media"} 4' in told
    assert 'assetstore_storage_seconds_total{mount="media"} 0.125' in told
    assert 'assetstore_storage_errors_total{mount="media",error="TimeoutError"} 1' in told
    assert 'assetstore_mount_ready{mount="media",state="ready"} 1' in told
    assert 'assetstore_mount_ready{mount="assets",state="empty"} 1' in told


def test_every_line_is_of_the_format_whatever_a_mount_is_called() -> None:
    told = prometheus_text(Health((MountHealth('a "b" \\ c\nd', State.UNREACHABLE, counters().counts()),)))
    assert told.endswith("\n")
    assert all(LINE.fullmatch(line) for line in told.splitlines())
    assert r'mount="a \"b\" \\ c\nd"' in told


def test_each_family_is_declared_once_and_before_its_lines() -> None:
    health = Health(tuple(MountHealth(name, State.READY, counters().counts()) for name in ("a", "b")))
    declared: list[str] = []
    for line in prometheus_text(health).splitlines():
        if line.startswith("# TYPE"):
            declared.append(line.split()[2])
        elif not line.startswith("#"):
            assert line.partition("{")[0] == declared[-1]
    assert len(declared) == len(set(declared)) == 5
