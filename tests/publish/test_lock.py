"""This module proves the lock: one holder, who says so, and who may be taken over from."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, PublishConflict
from assetstore.publish.releases import STALE_SECONDS, Lock

PATH = ".assetstore/lock.json"


def held_by(target: WritableBackend, **facts: Any) -> None:
    holder = {"owner": "ada@build7", "host": "build7", "pid": 41, "at": time.time(), **facts}
    target.write(PATH, BytesFile.of(PATH, json.dumps(holder).encode()), WriteOptions("application/json", "no-store"))


def test_one_thread_at_a_time_holds_it(any_target: WritableBackend) -> None:
    inside, most = 0, 0

    def run() -> None:
        nonlocal inside, most
        for _ in range(3):
            with Lock(any_target, PATH, wait_seconds=60):
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
        any_target.stat(PATH)


def test_who_waits_in_vain_is_told_who_holds_it_and_since_when(target: WritableBackend) -> None:
    held_by(target)
    with (
        pytest.raises(PublishConflict, match=r"held by ada@build7 \(process 41\) since 20") as caught,
        Lock(target, PATH, wait_seconds=0),
    ):
        pass
    assert "left behind after 300 seconds" in str(caught.value)
    assert json.loads(read_bytes(target, PATH))["owner"] == "ada@build7"


def test_a_lock_of_a_process_that_is_gone_is_taken_over_at_once(target: WritableBackend) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    held_by(target, host=socket.gethostname(), pid=gone.pid)
    with Lock(target, PATH, wait_seconds=0.5):
        assert json.loads(read_bytes(target, PATH))["pid"] == os.getpid()


def test_a_lock_of_a_living_process_here_is_respected(target: WritableBackend) -> None:
    held_by(target, host=socket.gethostname(), pid=os.getppid())
    with pytest.raises(PublishConflict), Lock(target, PATH, wait_seconds=0):
        pass


@pytest.mark.parametrize(
    "facts", [{"at": 0}, {"at": None}, {"at": "yesterday"}], ids=["long ago", "no time", "no number"]
)
def test_an_old_or_unreadable_lock_is_taken_over(target: WritableBackend, facts: dict[str, Any]) -> None:
    held_by(target, **facts)
    with Lock(target, PATH, wait_seconds=0.5):
        pass
    assert STALE_SECONDS > 60
