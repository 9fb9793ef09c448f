"""The lock of a target: one owner, who renews it, and who may be taken over from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, BodyTruncated, PublishConflict, VersionChanged
from assetstore.publish import lock
from assetstore.publish.lock import LOCK, Lock

OPTIONS = WriteOptions("application/json", "no-store")


def put(target: WritableBackend, data: bytes) -> None:
    target.write(LOCK, BytesFile.of(LOCK, data), OPTIONS)


def quick(target: WritableBackend, **times: float) -> Lock:
    return Lock(target, **{"wait_seconds": 5.0, "lease_seconds": 0.4, "heartbeat_seconds": 0.05, **times})


def test_one_thread_at_a_time_holds_it(any_target: WritableBackend) -> None:
    inside, most = 0, 0

    def run() -> None:
        nonlocal inside, most
        for _ in range(3):
            with Lock(any_target, wait_seconds=60):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with pytest.raises(AssetNotFound):
        any_target.stat(LOCK)


def test_an_owner_that_renews_it_is_waited_for_and_never_taken_over(any_target: WritableBackend) -> None:
    lease = 2.0 if any_target.remote else 0.4  # a write over a network may take longer than a short lease
    with (
        quick(any_target, lease_seconds=lease) as own,
        pytest.raises(PublishConflict, match="still running; wait for it"),
        quick(any_target, lease_seconds=lease, wait_seconds=3 * lease),
    ):
        pass
    own.__exit__()


@contextmanager
def machine_clock(monkeypatch: pytest.MonkeyPatch, ahead: float) -> Iterator[None]:
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + ahead)
        yield


@pytest.mark.parametrize("ahead", [-86_400.0, 3_600.0], ids=["a day behind", "an hour ahead"])
def test_a_wrong_clock_takes_no_living_lock(
    target: WritableBackend, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    with (
        quick(target),
        machine_clock(monkeypatch, ahead),
        pytest.raises(PublishConflict),
        quick(target, wait_seconds=1.0),
    ):
        pass


@pytest.mark.parametrize(
    "left",
    [b"", b"{", b"null", b"[1]", b'{"token": 7}', b"\xff\xfe", b'{"token": "x", "process": "", "beat": 4}'],
    ids=["empty", "cut off", "null", "a list", "of another kind", "no text", "of a dead owner elsewhere"],
)
def test_a_lock_that_does_not_change_ends_whatever_is_in_it(any_target: WritableBackend, left: bytes) -> None:
    put(any_target, left)
    began = time.monotonic()
    with quick(any_target):
        assert time.monotonic() - began >= 0.4
        assert json.loads(read_bytes(any_target, LOCK))["beat"] >= 0
    with pytest.raises(AssetNotFound):
        any_target.stat(LOCK)


def test_of_many_that_wait_for_a_dead_lock_one_takes_it_over(target: WritableBackend) -> None:
    put(target, b"left behind")
    inside, most, entered = 0, 0, 0

    def run() -> None:
        nonlocal inside, most, entered
        with quick(target, wait_seconds=30):
            inside += 1
            entered += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, entered) == (1, 4)


def test_a_lock_of_a_process_here_that_ended_is_taken_over_at_once(target: WritableBackend) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    put(target, json.dumps({"token": "x", "process": f"{lock._machine()}-{gone.pid}", "beat": 0}).encode())
    began = time.monotonic()
    with Lock(target):
        assert time.monotonic() - began < 5


def test_a_lock_of_a_process_of_another_machine_is_respected_though_its_number_is_free_here(
    target: WritableBackend,
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    put(target, json.dumps({"token": "x", "process": f"0123456789abcdef-{gone.pid}", "beat": 0}).encode())
    with pytest.raises(PublishConflict), Lock(target, wait_seconds=0.3):
        pass


def test_an_owner_that_lost_it_does_not_go_on_and_leaves_the_new_owners_lock(target: WritableBackend) -> None:
    with quick(target, heartbeat_seconds=60) as slow:
        target.delete(LOCK)
        put(target, b'{"token": "of somebody else"}')
        with pytest.raises(PublishConflict, match="taken over"):
            slow.require()
    assert read_bytes(target, LOCK) == b'{"token": "of somebody else"}'


def test_no_host_is_written(target: WritableBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "analytical-engine-7")
    with Lock(target):
        stored = read_bytes(target, LOCK).decode()
    assert "analytical" not in stored
    assert str(os.getpid()) in stored


def test_a_lock_that_changes_while_it_is_read_is_read_again(
    target: WritableBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([VersionChanged("written to", path=LOCK), BodyTruncated("cut off", path=LOCK)])
    real = target.open

    def open_(path: str, *rest: Any, **options: Any) -> Any:
        if (failure := next(failures, None)) is not None and path == LOCK:
            raise failure
        return real(path, *rest, **options)

    put(target, b"{}")
    monkeypatch.setattr(target, "open", open_)
    with quick(target) as own:
        own.require()
