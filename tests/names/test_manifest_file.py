"""Where a manifest lies: read whole, and told from another by one small request."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from assetstore.backends.base import FileStat
from assetstore.errors import ManifestError, SettingsError
from assetstore.names.manifest import ManifestFile, scheme


def test_a_path_and_a_url_mean_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "assets.json"
    file.write_text("{}")
    monkeypatch.chdir(tmp_path)
    for where in (file, str(file), "assets.json", f"file://{file}"):
        with pytest.raises(ManifestError, match=r"assets\.json"):
            ManifestFile(where).read()
        assert not ManifestFile(where).remote
    assert ManifestFile("https://cdn.example.com/assets.json").remote


def test_another_file_in_its_place_is_noticed_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "assets.json"
    place.write_text("one")
    os.utime(place, ns=(10**18, 10**18))
    file = ManifestFile(place)
    stat = file._backend.stat("assets.json")
    assert file.is_still(stat)
    place.write_text("two")
    os.utime(place, ns=(10**18 + 1, 10**18 + 1))
    assert not file.is_still(stat)
    place.unlink()
    with pytest.raises(ManifestError, match="there is no manifest"):
        file.is_still(stat)
    with pytest.raises(ManifestError, match="there is no manifest"):
        file.read()


def test_one_that_cannot_be_read_is_an_error_that_says_so() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        file = ManifestFile(f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/assets.json")
        with pytest.raises(ManifestError, match="cannot be read"):
            file.read()
        with pytest.raises(ManifestError, match="cannot be read"):
            file.is_still(FileStat("assets.json", 2))


def test_an_unknown_scheme_is_refused_at_once() -> None:
    with pytest.raises(SettingsError):
        ManifestFile("nowhere://bucket/assets.json")


@pytest.mark.parametrize(
    ("where", "expected"),
    [("assets.json", ""), ("/srv/assets.json", ""), ("S3://bucket/a.json", "s3"), ("file:///a.json", "file")],
)
def test_a_url_has_a_scheme_and_a_path_has_none(where: str, expected: str) -> None:
    assert scheme(where) == expected
