"""``assetstore serve`` as a user runs it: a process of its own, on a real socket."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from assetstore.cli.main import main
from assetstore.cli.serve import extensions

PROJECT = Path(__file__).parents[2]


@contextmanager
def serving(*argv: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the URL that it says it serves at."""
    popen = subprocess.Popen(
        [sys.executable, "-m", "assetstore", "serve", *map(str, argv)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert popen.stdout is not None
        said = popen.stdout.readline()
        assert " at " in said, said + popen.stdout.read()
        yield popen, said.partition(" at ")[2].split()[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)  # its workers too, which nobody else would end
        popen.wait()
        assert popen.stdout is not None
        popen.stdout.close()


def get(url: str, patience_seconds: float = 30) -> HTTPResponse:
    """The answer, once the server listens."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            answer: HTTPResponse = urlopen(url, timeout=5)
            return answer
        except ConnectionError as error:
            refused = error
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ConnectionError):
                raise
            refused = error.reason  # type: ignore[attr-defined]
        if time.monotonic() > deadline:
            raise refused
        time.sleep(0.02)


def status(url: str) -> int:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=5)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status
    finally:
        connection.close()


def ends(popen: subprocess.Popen[str], number: signal.Signals) -> None:
    children = psutil.Process(popen.pid).children(recursive=True)
    popen.send_signal(number)
    popen.wait(timeout=40)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_a_directory_is_served_byte_for_byte(asset_tree: Path) -> None:
    with serving(asset_tree, "--port", "0") as (_, url):
        for file in (each for each in asset_tree.rglob("*") if each.is_file() and each.name.isascii()):
            with get(url + file.relative_to(asset_tree).as_posix().replace(" ", "%20")) as answer:
                assert answer.read() == file.read_bytes()
        assert status(url + "nothing.css") == 404
        assert status(url.removesuffix("assets/")) == 404


def test_only_the_allowed_extensions_are_served(asset_tree: Path) -> None:
    options = ["--url", "/files", "--allowed-ext", ".css,.js", "--allowed-ext", ""]
    with serving(asset_tree, "--port", "0", *options) as (_, url):
        assert url.endswith("/files/")
        get(url + "css/app.css").close()
        assert [status(url + each) for each in ("LICENSE", "js/lib/util.js", "favicon.ico")] == [200, 200, 404]


def test_the_bare_prefix_answers_with_the_default_file(asset_tree: Path) -> None:
    with (
        serving(asset_tree, "--port", "0", "--url", "/", "--default-file", "robots.txt") as (_, url),
        get(url) as answer,
    ):
        assert answer.read() == b"one from robots.txt\n"


def test_references_are_rewritten_when_asked(asset_tree: Path) -> None:
    (asset_tree / "css/app.css").write_text('@font-face { src: url("../fonts/text.woff2") }')
    with serving(asset_tree, "--port", "0", "--references", "rewrite") as (_, url), get(url + "css/app.css") as answer:
        assert re.search(rb"\.\./fonts/text-[0-9a-f]{64}\.woff2", answer.read())


def test_published_names_are_known_from_their_manifest(
    asset_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "published_shop.py").write_text(
        "from assetstore import AssetStore\n"
        f"assets = AssetStore({{}})\nassets.static('/assets/', root={str(asset_tree)!r}, name='assets')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    target, manifest = str(tmp_path / "bucket"), str(tmp_path / "manifest.json")
    assert main(["publish", "--app", "published_shop:assets", "--to", target, "--manifest", manifest]) == 0
    [name] = (each.name for each in (tmp_path / "bucket/css").iterdir() if "-" in each.name)
    with serving(target, "--port", "0", "--manifest", manifest) as (_, url), get(f"{url}css/{name}") as answer:
        assert answer.headers["cache-control"] == "max-age=31536000, public, immutable"


def test_a_remote_root_answers_at_the_root_of_the_domain_from_the_first_request_on(asset_tree: Path) -> None:
    with serving(asset_tree, "--port", "0") as (_, origin):
        get(origin + "robots.txt").close()
        with serving(origin, "--port", "0", "--url", "/") as (_, url), get(url + "robots.txt") as answer:
            assert answer.read() == b"one from robots.txt\n"


def test_an_fsspec_url_is_served(asset_tree: Path, tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / "tree.zip"
    with zipfile.ZipFile(archive, "w") as held:
        held.write(asset_tree / "css/app.css", "css/app.css")
    with (
        serving(f"zip://::{archive}", "--port", "0", "--fingerprint", "content") as (_, url),
        get(url + "css/app.css") as answer,
    ):
        assert answer.read() == b"one from css/app.css\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_ends_it_and_every_worker(asset_tree: Path, workers: str, number: signal.Signals) -> None:
    with serving(asset_tree, "--port", "0", "--workers", workers) as (popen, url):
        get(url + "robots.txt").close()
        ends(popen, number)


def test_it_listens_on_a_unix_socket(asset_tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    with serving(asset_tree, "--uds", path):
        deadline = time.monotonic() + 30
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            while True:
                try:
                    client.connect(os.fspath(path))
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            client.sendall(b"GET /assets/robots.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"one from robots.txt\n")


def test_requests_are_logged_only_when_asked(asset_tree: Path) -> None:
    for options, wanted in (([], False), (["--log"], True)):
        with serving(asset_tree, "--port", "0", *options) as (popen, url):
            get(url + "robots.txt").close()
            ends(popen, signal.SIGTERM)
            assert popen.stdout is not None
            assert ("GET /assets/robots.txt" in popen.stdout.read()) is wanted


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "argument --workers: '0' is no whole number of at least 1"),
        (["--allowed-ext", "css"], "does not begin with a dot"),
        (["--url", "a b"], "holds a character"),
        (["--default-file", "../x"], "good one is"),
        (["--storage-option", "endpoint"], "is no KEY=VALUE"),
        (["--storage-option", "regin_name=b"], "did you mean 'region_name'"),
        (["--tls-cert", "x.pem"], "needs both --tls-cert and --tls-key"),
        (["--port", "70000"], "out of range"),
    ],
)
def test_a_bad_option_is_one_clear_line(
    asset_tree: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(asset_tree), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_taken_port_is_one_clear_line(asset_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(asset_tree), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], ()), ([".css,.js"], (".css", ".js")), ([".css", " .js , .map"], (".css", ".js", ".map")), ([""], ("",))],
)
def test_extensions_may_be_listed_or_repeated(given: list[str], expected: tuple[str, ...]) -> None:
    assert extensions(given) == expected


def test_a_missing_server_is_a_clear_line(
    asset_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find: Callable[[str], None] = lambda name: None  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", find)
    assert main(["serve", str(asset_tree)]) == 2
    assert "pip install 'assetstore[serve]'" in capsys.readouterr().err
