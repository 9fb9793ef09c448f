"""What others think of the answers: REDbot, aria2, wget and curl, over a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from asgi.tree import DATA, MODIFIED, STYLE, plant, put
from assetstore import AssetStore
from assetstore.backends.local.backend import LocalBackend
from assetstore.names import fingerprint
from assetstore.names.fingerprint import MtimeFingerprint
from servers.processes import Process, ProcessStarter
from servers.s3 import S3Server, bucket_on

SUPPORT = Path(__file__).parents[1] / "support"
BIG = DATA * 800


@dataclass(frozen=True, slots=True)
class Site:
    """A server, the directory that it serves, and one that clients download to."""

    process: Process
    root: Path
    downloads: Path

    def url(self, path: str) -> str:
        return f"{self.process.url}/assets/{path}"

    def fingerprinted(self, path: str) -> str:
        backend = LocalBackend(self.root)
        found = MtimeFingerprint().of(backend.stat(path), backend)
        assert found is not None
        return self.url(fingerprint.add(path, found))

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(each) for each in command],
            cwd=self.downloads,
            env={**os.environ, "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def server(start_module_process: ProcessStarter, tmp_path_factory: pytest.TempPathFactory) -> tuple[Process, Path]:
    root = plant(tmp_path_factory.mktemp("site") / "tree")
    put(root, "big.bin", BIG)
    process = start_module_process.asgi("asgi.served:app", folder=SUPPORT, env={"SERVED_ROOT": str(root)})
    return process, root


@pytest.fixture
def site(server: tuple[Process, Path], tmp_path: Path) -> Site:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    return Site(*server, downloads)


# --- REDbot

#: Its opinion that ``public`` says nothing new to HTTP's own caches; others wait for the word.
ALLOWED = {"STORE_PUBLIC_UNNECESSARY"}
Check = Callable[[str], dict[str, str]]


@pytest.fixture
def redbot(package: Callable[[str], ModuleType]) -> Check:
    """What REDbot finds bad or doubtful about a URL: note and level, and that it found something good."""
    package("redbot")

    def check(url: str) -> dict[str, str]:
        ran = subprocess.run(
            [sys.executable, "-c", "from redbot.cli import main; main()", "-o", "har", url],
            capture_output=True,
            text=True,
            timeout=60,
        )
        entries = json.loads(ran.stdout)["log"]["entries"]
        assert entries, ran.stderr
        notes = {note["note_id"]: note["level"] for note in entries[0]["_red_messages"]}
        assert "GOOD" in notes.values(), notes
        return {name: level for name, level in notes.items() if level in {"BAD", "WARN"} and name not in ALLOWED}

    return check


def test_redbot_finds_nothing_bad_about_a_plain_file(site: Site, redbot: Check) -> None:
    assert redbot(site.url("data.bin")) == {}


def test_redbot_finds_nothing_bad_about_a_fingerprinted_file(site: Site, redbot: Check) -> None:
    assert redbot(site.fingerprinted("data.bin")) == {}


def test_redbot_finds_nothing_bad_about_a_compressed_file(site: Site, redbot: Check) -> None:
    assert redbot(site.url("css/app.css")) == {}
    assert redbot(site.fingerprinted("css/app.css")) == {}


def test_redbot_finds_nothing_bad_about_a_missing_file(site: Site, redbot: Check) -> None:
    assert redbot(site.url("gone.css")) == {}


@dataclass(frozen=True, slots=True)
class BucketSite:
    """A server whose files are in a bucket, and a store that names them as that server does."""

    process: Process
    assets: AssetStore

    def url(self, path: str) -> str:
        return f"{self.process.url}/assets/{path}"

    def fingerprinted(self, path: str) -> str:
        named = self.assets.url_for("assets", file=path)
        assert fingerprint.split(named)[1] is not None, named
        return self.process.url + named


@pytest.fixture
def bucket_site(moto_server: S3Server, start_process: ProcessStarter) -> Iterator[BucketSite]:
    with bucket_on(moto_server) as bucket:
        bucket.put({"css/app.css": STYLE, "data.bin": DATA})
        env = {
            "SERVED_ROOT": bucket.url,
            "AWS_ENDPOINT_URL": moto_server.endpoint_url,
            "AWS_ACCESS_KEY_ID": moto_server.access_key,
            "AWS_SECRET_ACCESS_KEY": moto_server.secret_key,
            "AWS_DEFAULT_REGION": moto_server.region,
        }
        process = start_process.asgi("asgi.served:app", folder=SUPPORT, env=env)
        assets = AssetStore()
        assets.static("/assets/", root=bucket.url, name="assets", storage_options=moto_server.options)
        assets.refresh()
        yield BucketSite(process, assets)


def test_redbot_finds_nothing_bad_about_files_in_a_bucket(bucket_site: BucketSite, redbot: Check) -> None:
    assert redbot(bucket_site.url("css/app.css")) == {}
    assert redbot(bucket_site.url("data.bin")) == {}


def test_redbot_finds_nothing_bad_about_fingerprinted_files_in_a_bucket(bucket_site: BucketSite, redbot: Check) -> None:
    for path in ("css/app.css", "data.bin"):
        url = bucket_site.fingerprinted(path)
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert "immutable" in answer.headers["Cache-Control"], "it is the current name, not an old one"
        assert redbot(url) == {}


# --- clients that resume and revalidate


@pytest.mark.program("aria2c")
def test_aria2_fetches_in_parallel_parts_and_resumes(site: Site) -> None:
    (site.downloads / "big.bin").write_bytes(BIG[:1_000_000])
    resumed = site.run("aria2c", "-c", "--auto-file-renaming=false", site.url("big.bin"))
    assert resumed.returncode == 0, resumed.stdout
    assert (site.downloads / "big.bin").read_bytes() == BIG
    parallel = site.run("aria2c", "-x4", "-s4", "-k1M", "-o", "parts.bin", site.url("big.bin"))
    assert parallel.returncode == 0, parallel.stdout
    assert (site.downloads / "parts.bin").read_bytes() == BIG


@pytest.mark.program("wget")
def test_wget_resumes_and_knows_when_it_is_done(site: Site) -> None:
    (site.downloads / "big.bin").write_bytes(BIG[:1_000_000])
    resumed = site.run("wget", "-c", "-S", site.url("big.bin"))
    assert resumed.returncode == 0, resumed.stderr
    assert "206 Partial Content" in resumed.stderr
    assert (site.downloads / "big.bin").read_bytes() == BIG
    again = site.run("wget", "-c", "-S", site.url("big.bin"))
    assert again.returncode == 0
    assert "416" in again.stderr
    assert (site.downloads / "big.bin").read_bytes() == BIG


@pytest.mark.program("wget")
def test_wget_fetches_again_only_what_was_modified(site: Site) -> None:
    first = site.run("wget", "-N", site.url("data.bin"))
    assert first.returncode == 0, first.stderr
    assert (site.downloads / "data.bin").stat().st_mtime == MODIFIED
    second = site.run("wget", "-N", "-S", site.url("data.bin"))
    assert "304 Not Modified" in second.stderr


@pytest.mark.program("wget")
def test_wget_understands_what_it_asked_to_be_compressed(site: Site) -> None:
    fetched = site.run("wget", "--compression=auto", "-S", site.url("css/app.css"))
    assert "content-encoding: gzip" in fetched.stderr
    assert (site.downloads / "app.css").read_bytes() == STYLE


@pytest.mark.program("curl")
def test_curl_resumes(site: Site) -> None:
    (site.downloads / "big.bin").write_bytes(BIG[:1_000_000])
    resumed = site.run("curl", "-sS", "-C", "-", "-O", "-w", "%{http_code}", site.url("big.bin"))
    assert (resumed.stdout, resumed.returncode) == ("206", 0)
    assert (site.downloads / "big.bin").read_bytes() == BIG


@pytest.mark.program("curl")
def test_curl_revalidates_by_tag_and_by_time(site: Site) -> None:
    url = site.url("css/app.css")
    tag = ["--etag-save", "tag", "--etag-compare", "tag"]
    for compressed in ([], ["--compressed"]):
        (site.downloads / "tag").unlink(missing_ok=True)
        codes = [
            site.run("curl", "-sS", *compressed, *tag, "-o", "app.css", "-w", "%{http_code}", url).stdout for _ in "12"
        ]
        assert codes == ["200", "304"]
    assert site.run("curl", "-sS", "-R", "-O", url).returncode == 0
    assert (site.downloads / "app.css").stat().st_mtime == MODIFIED
    by_time = site.run("curl", "-sS", "-z", "app.css", "-o", "again.css", "-w", "%{http_code}", url)
    assert by_time.stdout == "304"


@pytest.mark.program("curl")
def test_curl_understands_every_coding_that_it_knows(site: Site) -> None:
    fetched = site.run("curl", "-sS", "--compressed", "-o", "app.css", "-D", "-", site.url("css/app.css"))
    assert "content-encoding:" in fetched.stdout
    assert (site.downloads / "app.css").read_bytes() == STYLE
