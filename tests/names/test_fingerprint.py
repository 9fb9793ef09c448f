"""Fingerprints: how they are spelled in a name, and what they are made of."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.errors import SettingsError
from assetstore.names import fingerprint
from remote_files import RemoteFiles
from waiting import eventually

HEX = "0123456789abcdef" * 4
OTHER = "f" * 64

segments = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
hexes = st.text("0123456789abcdef", min_size=64, max_size=64)


@pytest.mark.parametrize(
    ("path", "fingerprinted"),
    [
        pytest.param("styles/app.css", f"styles/app-{HEX}.css", id="before the extension"),
        pytest.param("js/app.min.js", f"js/app.min-{HEX}.js", id="before the last extension only"),
        pytest.param("LICENSE", f"LICENSE-{HEX}", id="at the end where there is no extension"),
        pytest.param("a.b/readme", f"a.b/readme-{HEX}", id="a dot in a folder is no extension"),
        pytest.param(f"x-{OTHER}.css", f"x-{OTHER}-{HEX}.css", id="behind one that the name has of its own"),
        pytest.param(".css", f".css-{HEX}", id="a leading dot is no extension"),
    ],
)
def test_add_and_split_are_a_pair(path: str, fingerprinted: str) -> None:
    assert fingerprint.add(path, HEX) == fingerprinted
    assert fingerprint.split(fingerprinted) == (path, HEX)


@given(paths, hexes)
def test_any_name_survives_the_round_trip(path: str, hexadecimal: str) -> None:
    assert fingerprint.split(fingerprint.add(path, hexadecimal)) == (path, hexadecimal)


@given(paths)
def test_split_never_invents_a_name(path: str) -> None:
    logical, found = fingerprint.split(path)
    assert path == (logical if found is None else fingerprint.add(logical, found))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("app.css", id="no fingerprint"),
        pytest.param(f"app-{HEX[:-1]}.css", id="63 digits"),
        pytest.param(f"app-{HEX.upper()}.css", id="upper case"),
        pytest.param(f"x-{HEX}-page2.css", id="not at the end of the name"),
        pytest.param(f"{HEX}.css", id="nothing before it"),
        pytest.param(f"-{HEX}.css", id="an empty stem"),
        pytest.param(f".-{HEX}.css", id="a stem of dots"),
    ],
)
def test_what_only_looks_like_a_fingerprint_is_part_of_the_name(path: str) -> None:
    assert fingerprint.split(path) == (path, None)


SECOND = 10**9
NOW = 1_790_000_000 * SECOND + 123_456_789


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path)


def saved(backend: LocalBackend, data: bytes, mtime_ns: int, path: str = "app.css") -> FileStat:
    file = Path(backend.label) / path
    file.write_bytes(data)
    os.utime(file, ns=(mtime_ns, mtime_ns))
    return backend.stat(path)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("made", [fingerprint.MtimeFingerprint(), fingerprint.TimeFingerprint()])
def test_a_time_below_one_second_is_the_fingerprint(made: fingerprint.Fingerprint, backend: LocalBackend) -> None:
    stat = saved(backend, b"a", 1_700_000_000_123_456_789)
    assert made.of(stat, backend) == sha256("1700000000123456789")
    assert made.soon(stat, backend) == sha256("1700000000123456789")
    assert not made.needs_digest(stat)


WHOLE_SECONDS = [
    pytest.param(0, id="the epoch"),
    pytest.param(SECOND, id="one second later, as Nix does"),
    pytest.param(-5, id="before the epoch"),
    pytest.param(315_532_800 * SECOND + 5, id="1980, where zip begins"),
    pytest.param(499_162_500 * SECOND, id="the day npm packs with"),
    pytest.param(1_700_000_000 * SECOND, id="a commit's time, as git archive has it"),
    pytest.param(4_000_000_000 * SECOND + 5, id="the future"),
]


@pytest.mark.parametrize("mtime_ns", WHOLE_SECONDS)
def test_where_the_time_tells_nothing_other_bytes_have_another_name(backend: LocalBackend, mtime_ns: int) -> None:
    made = fingerprint.TimeFingerprint()
    one = saved(backend, b"one", mtime_ns)
    first = made.of(one, backend)
    assert first == sha256(f"{mtime_ns} {hashlib.sha256(b'one').hexdigest()}")
    assert made.is_of(first, one, backend)
    two = saved(backend, b"two", mtime_ns)
    assert made.of(two, backend) != first
    assert made.is_of(first, two, backend) is False
    assert made.of(saved(backend, b"one", mtime_ns + SECOND), backend) != first, "a touched file has another name too"


@pytest.mark.parametrize("mtime_ns", WHOLE_SECONDS)
def test_mtime_by_name_is_the_time_to_the_letter_and_then_never_immutable(
    backend: LocalBackend, mtime_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = fingerprint.MtimeFingerprint()
    for data in (b"one", b"two"):
        stat = saved(backend, data, mtime_ns)
        assert made.of(stat, backend) == sha256(str(mtime_ns))
        assert made.is_of(sha256(str(mtime_ns)), stat, backend) is False
    assert len(caplog.records) == 1
    assert "does not tell one version from the next" in caplog.text
    assert "fingerprint=True, 'content', or a published manifest" in caplog.text


def test_the_default_warns_of_no_time(backend: LocalBackend, caplog: pytest.LogCaptureFixture) -> None:
    fingerprint.TimeFingerprint().of(saved(backend, b"one", 0), backend)
    assert not caplog.records


def test_a_file_that_may_still_be_being_written_is_not_sure_of_its_time(backend: LocalBackend) -> None:
    made = fingerprint.TimeFingerprint()
    now = time.time_ns() | 1
    assert made.is_of(sha256(str(now)), saved(backend, b"half", now), backend) is None
    then = now - fingerprint.SAVED_NS
    assert made.is_of(sha256(str(then)), saved(backend, b"whole", then), backend) is True


def test_a_fingerprint_is_that_of_one_file(backend: LocalBackend) -> None:
    made = fingerprint.TimeFingerprint()
    one, two = (saved(backend, path.encode(), 0, path) for path in ("one.css", "two.css"))
    assert made.is_of(made.of(one, backend) or "", two, backend) is False


def test_a_validator_sharpens_coarse_times(backend: LocalBackend) -> None:
    """S3 rounds to whole seconds: two writes within one differ in their ETag alone."""
    for made in (fingerprint.MtimeFingerprint(), fingerprint.TimeFingerprint()):
        one, two = (FileStat("a", 1, 10**18, etag) for etag in ("etag-1", "etag-2"))
        assert made.of(one, backend) == sha256(f"{10**18} etag-1") != made.of(two, backend)
        assert made.is_of(sha256(f"{10**18} etag-1"), one, backend) is True


@pytest.mark.parametrize("made", [fingerprint.MtimeFingerprint(), fingerprint.TimeFingerprint()])
def test_a_file_without_a_time_has_none_and_one_warning_says_so(
    made: fingerprint.Fingerprint, backend: LocalBackend, caplog: pytest.LogCaptureFixture
) -> None:
    assert made.of(FileStat("a", 1), backend) is None
    assert made.of(FileStat("b", 1), backend) is None
    assert len(caplog.records) == 1
    assert "reports no modified times" in caplog.text


def test_what_the_backend_decides_comes_first(backend: LocalBackend) -> None:
    stat = FileStat("a", 1, NOW, fingerprint="its own")
    for made in (fingerprint.TimeFingerprint(), fingerprint.ContentFingerprint(), None):
        for soon in (False, True):
            assert fingerprint.fingerprint_of(stat, made, backend, soon=soon) == "its own"
    assert fingerprint.fingerprint_of(FileStat("a", 1, NOW), None, backend, soon=True) is None


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (True, fingerprint.TimeFingerprint),
        ("mtime", fingerprint.MtimeFingerprint),
        ("content", fingerprint.ContentFingerprint),
        (False, type(None)),
    ],
)
def test_a_choice_names_a_fingerprinter(choice: object, kind: type) -> None:
    assert type(fingerprint.fingerprinter(choice)) is kind


def test_an_unknown_choice_is_an_error_that_shows_good_ones() -> None:
    with pytest.raises(SettingsError, match=r"fingerprint='md5' is not known; give True, 'mtime', 'content'"):
        fingerprint.fingerprinter("md5")


class Own:
    """A fingerprinter of the user's own that reads."""

    reads = True

    def __init__(self) -> None:
        self.made: list[str] = []
        self.faults: list[Exception] = []

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        self.made.append(stat.path)
        if self.faults:
            raise self.faults.pop()
        return sha256(stat.path)


def test_a_user_s_own_is_used_at_once_where_it_reads_nothing(backend: LocalBackend) -> None:
    own = Own()
    own.reads = False
    made = fingerprint.fingerprinter(own)
    assert made is not None
    remote = RemoteFiles(a=b"one")
    assert made.soon(remote.facts("a"), remote) == made.of(remote.facts("a"), remote) == sha256("a")


def test_a_user_s_own_that_reads_is_made_in_the_background_of_remote_files(caplog: pytest.LogCaptureFixture) -> None:
    own, remote = Own(), RemoteFiles(a=b"one", b=b"two")
    own.faults = [ZeroDivisionError("a fault of the user's own")]
    made = fingerprint.CustomFingerprint(own)
    assert made.soon(remote.facts("a"), remote) is None
    assert eventually(lambda: "cannot fingerprint 'a' in remote://bucket" in caplog.text)
    assert eventually(lambda: made.soon(remote.facts("b"), remote) == sha256("b"))
    for _ in range(20):
        made.soon(remote.facts("b"), remote)
    assert own.made == ["a", "b"]
    made.close()
