"""Fingerprints: how they are spelled in a name, and what they are made of (guide section 6)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat
from assetstore.errors import SettingsError
from assetstore.names import fingerprint

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


class Folder:
    """Just enough of a backend: one folder, read with open()."""

    label, remote = "a folder", False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened = 0

    def stat(self, path: str) -> FileStat:
        found = (self.root / path).stat()
        return FileStat(path, found.st_size, found.st_mtime_ns)

    def open(self, path: str, span: object = None, *, validator: str | None = None) -> Folder:
        self.opened += 1
        self.path = path
        return self

    def chunks(self, start: int, stop: int) -> list[bytes]:
        return [(self.root / self.path).read_bytes()[start:stop]]

    def close(self) -> None: ...

    def walk(self) -> list[FileStat]:
        return []


class OpenFolder(Folder):
    """A folder whose opened file may be another version than the one that was stat'ed."""


def test_the_mtime_fingerprint_is_the_sha256_of_the_time(tmp_path: Path) -> None:
    stat = FileStat("app.css", 3, 1_700_000_000_123_456_789)
    expected = hashlib.sha256(b"1700000000123456789").hexdigest()
    assert fingerprint.MtimeFingerprint().of(stat, Folder(tmp_path)) == expected  # type: ignore[arg-type]


def test_a_validator_sharpens_coarse_times(tmp_path: Path) -> None:
    """S3 rounds to whole seconds: two writes within one differ in their ETag alone."""
    made, folder = fingerprint.MtimeFingerprint(), Folder(tmp_path)
    one = made.of(FileStat("a", 1, 10**18, "etag-1"), folder)  # type: ignore[arg-type]
    two = made.of(FileStat("a", 1, 10**18, "etag-2"), folder)  # type: ignore[arg-type]
    assert one != two


def test_a_file_without_a_time_has_no_mtime_fingerprint_and_one_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, folder = fingerprint.MtimeFingerprint(), Folder(tmp_path)
    assert made.of(FileStat("a", 1), folder) is None  # type: ignore[arg-type]
    assert made.of(FileStat("b", 1), folder) is None  # type: ignore[arg-type]
    assert [record.message for record in caplog.records if "no modified times" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (True, fingerprint.MtimeFingerprint),
        ("mtime", fingerprint.MtimeFingerprint),
        ("content", fingerprint.ContentFingerprint),
        (False, type(None)),
    ],
)
def test_a_choice_names_a_fingerprinter(choice: object, kind: type) -> None:
    assert type(fingerprint.fingerprinter(choice)) is kind


def test_an_unknown_choice_is_an_error_that_shows_good_ones() -> None:
    with pytest.raises(SettingsError, match=r"fingerprint='md5' is not known; give True or 'mtime', 'content'"):
        fingerprint.fingerprinter("md5")


def test_a_users_own_fingerprinter_is_taken_as_it_is() -> None:
    class Build:
        reads = False

        def of(self, stat: FileStat, backend: object) -> str:
            return "a" * 64

    own = Build()
    assert fingerprint.fingerprinter(own) is own
