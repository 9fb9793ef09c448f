"""`assetstore doctor` says what is wrong, the most harmful first, and is silent about what is right."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from assetstore import AssetStore, RemoteLimits
from assetstore.assets import compression
from assetstore.cli.doctor import Advice, Harm, diagnose
from assetstore.errors import BackendCredentials, BackendForbidden
from remote_files import RemoteFiles
from servers.s3 import S3Bucket


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "assets"
    root.mkdir()
    for number in range(3):
        (root / f"{number}.css").write_text(f"body {{ order: {number} }}")
        os.utime(root / f"{number}.css", ns=(0, 1_700_000_000_123_456_000 + number))
    return root


def store(root: Any, **options: Any) -> AssetStore:
    assets = AssetStore({})
    assets.static("/assets/", root=root, name="assets", **options)
    return assets


def only(found: list[Advice]) -> Advice:
    assert len(found) == 1, found
    return found[0]


def test_a_good_configuration_has_nothing_to_change(tree: Path) -> None:
    assert list(diagnose(store(tree))) == []


def test_an_empty_root_is_broken(tmp_path: Path) -> None:
    advice = only(list(diagnose(store(tmp_path))))
    assert (advice.harm, advice.mount) == (Harm.BROKEN, "assets")
    assert "holds no file" in advice.saw


def test_a_store_without_mounts_is_broken() -> None:
    assert only(list(diagnose(AssetStore({})))).saw == "the store has no mount"


def test_times_of_whole_seconds_are_named_unless_the_names_are_made_of_content(tree: Path) -> None:
    os.utime(tree / "0.css", (0, 1_700_000_000))
    advice = only(list(diagnose(store(tree))))
    assert advice.saw.startswith("1 of 3 files have a modified time of whole seconds")
    assert list(diagnose(store(tree, fingerprint="content"))) == []


def test_times_in_the_future_are_named(tree: Path) -> None:
    ahead = time.time_ns() + 3600 * 10**9 + 1
    os.utime(tree / "0.css", ns=(ahead, ahead))
    assert "in the future" in only(list(diagnose(store(tree)))).saw


def test_a_compressed_copy_of_other_bytes_is_named(tree: Path) -> None:
    body = (tree / "0.css").read_bytes()
    (tree / "0.css.gz").write_bytes(compression._gzip(body, True))
    assert list(diagnose(store(tree, fingerprint="content"))) == []
    (tree / "1.css.gz").write_bytes(compression._gzip(b"old", True))
    (tree / "2.css.br").write_bytes(b"not brotli")
    saw = only(list(diagnose(store(tree, fingerprint="content")))).saw
    assert saw.startswith("2 compressed copies do not hold the bytes of their file, as ")


def test_a_manifest_of_another_build_is_named_with_its_age(tree: Path, tmp_path: Path) -> None:
    published = store(tree, fingerprint="content")
    published.publish(tmp_path / "target")
    shipped = tmp_path / "target/.assetstore/current.json"
    assert list(diagnose(store(tree, manifest=shipped))) == []
    (tree / "0.css").write_text("body { color: longer than before }")
    (tree / "1.css").unlink()
    (tree / "new.css").write_text("new")
    found = list(diagnose(store(tree, manifest=shipped)))
    assert [each.harm for each in found] == [Harm.BROKEN, Harm.WRONG, Harm.SLOW]
    assert all("the manifest is of " in each.saw for each in found)
    assert ["1.css" in found[0].saw, "0.css" in found[1].saw, "new.css" in found[2].saw] == [True, True, True]


def test_a_bucket_that_is_missing_or_refuses_is_broken(moto_bucket: S3Bucket) -> None:
    limits = RemoteLimits(attempts=1)
    moto_bucket.put({"a.css": b"a"})
    good = store(moto_bucket.url, storage_options=moto_bucket.server.options, limits=limits)
    assert list(diagnose(good)) == []
    gone = store("s3://no-such-bucket", storage_options=moto_bucket.server.options, limits=limits)
    assert only(list(diagnose(gone))).harm is Harm.BROKEN


@pytest.mark.parametrize(
    ("fault", "harm", "change"),
    [
        (BackendForbidden("no"), Harm.WRONG, "allow s3:ListBucket"),
        (BackendCredentials("expired"), Harm.BROKEN, "renew the credentials"),
    ],
)
def test_a_storage_that_refuses_a_missing_name_is_told_apart(fault: Exception, harm: Harm, change: str) -> None:
    class Refusing(RemoteFiles):
        def stat(self, path: str) -> Any:
            raise fault

    advice = only(list(diagnose(store(Refusing(a=b"one"), limits=RemoteLimits(attempts=1)))))
    assert advice.harm is harm
    assert change in advice.change


def test_a_deploy_that_answers_well_and_one_that_does_not(tree: Path, serve_app: Callable[[object], str]) -> None:
    assets = store(tree, fingerprint="content")
    url = serve_app(Starlette(routes=assets.routes))
    assert list(diagnose(assets, url)) == []
    other = serve_app(Starlette())
    assert {each.harm for each in diagnose(assets, other)} >= {Harm.BROKEN}


def test_the_command_prints_advice_and_ends_with_1(site: str, command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "assets/css/app.css.gz").write_bytes(b"broken")
    told = command("doctor", "--app", f"{site}:assets", "--json")
    assert told.code == 1
    assert [each["harm"] for each in told.json] == sorted(each["harm"] for each in told.json)
    assert any("compressed" in each["saw"] for each in told.json)
    assert "to change" in command("doctor", "--app", f"{site}:assets").out
