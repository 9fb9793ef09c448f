"""The disk cache: atomic, private, bounded, shared; what is damaged is a miss."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from assetstore.backends.remote.disk import FOLDER, DiskCache
from assetstore.errors import SettingsError

MIB = 1024 * 1024


def files_in(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()]


def contents(path: Path) -> list[Path]:
    return files_in(path / FOLDER / "contents")


def test_what_was_put_is_there_and_stays_for_the_next_process(tmp_path: Path) -> None:
    DiskCache(tmp_path, 4 * MIB).put("key", b"content")
    assert DiskCache(tmp_path, 4 * MIB).get("key") == b"content"


def test_a_later_put_wins(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    cache.put("key", b"old")
    cache.put("key", b"new")
    assert cache.get("key") == b"new"


def test_equal_bytes_are_kept_once(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    for number in range(10):
        cache.put(f"key {number}", b"the same")
    assert len(contents(tmp_path)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="emptied"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-1]), id="cut short"),
        pytest.param(lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]), id="one byte another"),
        pytest.param(lambda file: file.unlink(), id="gone"),
    ],
)
@pytest.mark.parametrize("folder", ["contents", "keys"])
def test_what_is_damaged_is_a_miss_and_can_be_put_again(tmp_path: Path, folder: str, damage: object) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    cache.put("key", b"content")
    for file in files_in(tmp_path / FOLDER / folder):
        damage(file)  # type: ignore[operator]
    assert cache.get("key") is None
    cache.put("key", b"content")
    assert cache.get("key") == b"content"


def test_it_is_private_to_the_user(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DiskCache(tmp_path, 4 * MIB).put("key", b"content")
    finally:
        os.umask(before)
    for each in [tmp_path / FOLDER, *(tmp_path / FOLDER).rglob("*")]:
        assert not stat.S_IMODE(each.stat().st_mode) & 0o077, each


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError):
        DiskCache(tmp_path, 4 * MIB)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="disk_path"):
        DiskCache(tmp_path / "file", 4 * MIB)


def test_it_holds_no_more_than_its_limit_and_the_least_used_go(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    cache.put("hot", os.urandom(100_000))
    for number in range(100):
        cache.put(f"key {number}", os.urandom(100_000))
        for file in contents(tmp_path):  # as if some time had passed since
            os.utime(file, (file.stat().st_atime - 10, file.stat().st_mtime - 10))
        assert cache.get("hot") is not None
        assert sum(each.stat().st_blocks * 512 for each in files_in(tmp_path)) <= 4 * MIB + 64 * 1024
    assert cache.get("key 0") is None
    assert cache.get("key 99") is not None


def test_keys_without_contents_are_swept(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    for number in range(100):
        cache.put(f"key {number}", os.urandom(100_000))
    assert len(files_in(tmp_path / FOLDER / "keys")) < 60


def test_a_ledger_that_a_crash_left_wrong_is_mended(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    cache.put("key", b"content")
    (tmp_path / FOLDER / "ledger").write_text("nonsense")
    cache.put("other", b"content 2")
    assert cache.get("key") == b"content"
    assert (tmp_path / FOLDER / "ledger").read_text().strip().isdigit()


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)
    for folder in ("aside", "keys", "contents"):
        (tmp_path / FOLDER / folder).rmdir()
        (tmp_path / FOLDER / folder).write_text("in the way")
    cache.put("key", b"content")
    assert cache.get("key") is None


WORKER = """
import sys
from assetstore.backends.remote.disk import DiskCache
cache = DiskCache(sys.argv[1], 4 * 1024 * 1024)
wrong = 0
for turn in range(300):
    number = (turn * 7 + int(sys.argv[2]) * 13) % 40
    content = bytes([number]) * (20_000 + number * 4_000)
    found = cache.get(f"key {number}")
    wrong += found is not None and found != content
    cache.put(f"key {number}", content)
print(wrong)
"""


def test_processes_share_it_without_a_wrong_byte_and_within_the_limit(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, tmp_path, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    assert [worker.communicate(timeout=60)[0].strip() for worker in workers] == ["0", "0", "0"]
    assert sum(each.stat().st_blocks * 512 for each in files_in(tmp_path)) <= 4 * MIB + 64 * 1024
    assert not files_in(tmp_path / FOLDER / "aside")


def test_threads_share_it(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 4 * MIB)

    def work(number: int) -> None:
        for turn in range(50):
            cache.put(f"key {turn}", f"content {turn}".encode())
            assert cache.get(f"key {turn}") == f"content {turn}".encode()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(cache.get(f"key {turn}") == f"content {turn}".encode() for turn in range(50))
