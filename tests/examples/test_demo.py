"""The demo as a newcomer meets it: one command, two addresses, a browser, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from axe import serious_faults
from examples.demo import __main__ as command

PROJECT = Path(__file__).parents[2]
FOREVER = "max-age=31536000, public, immutable"

#: Nothing leaves the machine, and nothing is asked of whoever made the browser.
FLAGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass
class Demo:
    """A demo that runs, and where."""

    popen: subprocess.Popen[str]
    site: str
    cdn: str
    folder: Path
    said: str

    def panel(self) -> dict[str, str]:
        with urlopen(self.site + "panel.json", timeout=5) as answer:
            return {each["file"]: each["url"] for each in json.load(answer)}


@contextmanager
def running(folder: Path) -> Iterator[Demo]:
    """The demo from a copy of its own, so that a test may edit its files."""
    (folder / "examples").mkdir()
    shutil.copy(PROJECT / "examples/__init__.py", folder / "examples")
    shutil.copytree(PROJECT / "examples/demo", folder / "examples/demo", ignore=shutil.ignore_patterns("__pycache__"))
    popen = subprocess.Popen(
        [sys.executable, "-m", "examples.demo", "--port", "0", "--cdn-port", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PROJECT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert popen.stdout is not None
    try:
        said = ""
        for line in popen.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        addresses = re.findall(r"^ +(http://\S+:\d+/)", said, re.MULTILINE)
        assert len(addresses) == 2, said
        yield Demo(popen, *addresses, folder / "examples/demo/assets", said)
    finally:
        popen.kill()
        popen.wait()
        popen.stdout.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("demo")) as started:
        yield started


@pytest.fixture(scope="module")
def browser(program: Callable[[str], Path]) -> Iterator[Browser]:
    chromium = program("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Visit:
    """What a browser met on one page."""

    page: Page
    errors: list[str]
    asked: list[str]


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """The page once its panel is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
    visit = Visit(page, [], [])
    page.on("console", lambda said: visit.errors.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("requestfailed", lambda request: visit.errors.append(f"{request.url}: {request.failure}"))
    page.on("request", lambda request: visit.asked.append(request.url))
    page.goto(url)
    page.wait_for_function(
        "[...document.querySelectorAll('td.backend')].filter((cell) => cell.textContent).length > 10"
    )
    page.evaluate("document.fonts.ready")
    yield visit
    page.close()


@pytest.mark.program("mkdocs")
def test_neither_page_has_a_serious_fault_of_accessibility(demo: Demo, browser: Browser) -> None:
    for scheme in ("light", "dark"):
        with visiting(browser, demo.site, color_scheme=scheme) as visit:
            assert (scheme, serious_faults(visit.page)) == (scheme, [])


def fetch(url: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request(method, parts.path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def links(page_url: str) -> list[str]:
    """Every URL that the page loads something from."""
    page = fetch(page_url)[2].decode()
    imports = json.loads(re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)[0])["imports"]
    found = re.findall(r'<(?:link|script|img)[^>]* (?:href|src)="([^"]+)"', page)
    return [urljoin(page_url, each) for each in [*found, *imports.values()]]


def test_it_says_where_it_is_and_what_to_try(demo: Demo) -> None:
    assert f'{demo.cdn}   the same application, assets from the other (ASSETS_URL = "{demo.site}assets/")' in demo.said
    assert "Save a file under examples/demo/assets" in demo.said


@pytest.mark.parametrize("address", ["site", "cdn"])
def test_each_page_loads_everything_from_the_first_address(demo: Demo, address: str) -> None:
    found = links(getattr(demo, address))
    assert len(found) == 8
    for url in found:
        assert url.startswith(demo.site)
        assert fetch(url)[0] == 200


def test_both_addresses_give_each_file_the_same_name(demo: Demo) -> None:
    with urlopen(demo.cdn + "panel.json", timeout=5) as answer:
        elsewhere = {each["file"]: each["url"] for each in json.load(answer)}
    assert elsewhere == {file: demo.site.rstrip("/") + url for file, url in demo.panel().items()}


@pytest.mark.parametrize("address", ["site", "cdn"])
@pytest.mark.parametrize("file", ["favicon.ico", "robots.txt", "humans.txt"])
def test_root_files_are_found_at_either_address(demo: Demo, address: str, file: str) -> None:
    url = getattr(demo, address) + file
    status, headers, _ = fetch(url)
    assert status == 301
    assert fetch(urljoin(url, headers["location"]))[2] == (demo.folder / file).read_bytes()


@pytest.mark.parametrize("address", ["site", "cdn"])
def test_the_picture_comes_from_the_bucket(demo: Demo, address: str) -> None:
    url = urljoin(getattr(demo, address), demo.panel()["dunes.webp"])
    assert re.search(r"/media/dunes-[0-9a-f]{64}\.webp$", url)
    status, headers, body = fetch(url)
    assert (status, headers["x-backend"], headers["cache-control"]) == (200, "bucket", FOREVER)
    assert body == (PROJECT / "examples/demo/media/dunes.webp").read_bytes()


def test_the_font_that_the_style_sheet_names_may_be_kept_for_a_year(demo: Demo) -> None:
    sheet = urljoin(demo.site, demo.panel()["styles/site.css"])
    [named] = re.findall(rb'src: url\("([^"]+)"\)', fetch(sheet)[2])
    status, headers, body = fetch(urljoin(sheet, named.decode()))
    assert (status, headers["cache-control"]) == (200, FOREVER)
    assert body == (demo.folder / "fonts/dots.woff2").read_bytes()


def test_a_saved_file_has_a_new_url_within_a_second(demo: Demo) -> None:
    sheet = demo.folder / "styles/site.css"
    text = sheet.read_text()
    waits = []
    for accent in ("#e9c46a", "#264653", "#2a9d8f"):
        before = demo.panel()["styles/site.css"]
        sheet.write_text(text.replace("#e76f51", accent))
        saved = time.monotonic()
        while demo.panel()["styles/site.css"] == before:
            assert time.monotonic() - saved < 10
            time.sleep(0.02)
        waits.append(time.monotonic() - saved)
        status, headers, body = fetch(urljoin(demo.site, demo.panel()["styles/site.css"]))
        assert (status, headers["cache-control"]) == (200, FOREVER)
        assert accent.encode() in body
    assert min(waits) < 1  # the others are a busy machine's


@pytest.mark.parametrize("address", ["site", "cdn"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_works_in_a_browser_without_one_complaint(
    demo: Demo, browser: Browser, address: str, scheme: str, tmp_path: Path
) -> None:
    with visiting(browser, getattr(demo, address), color_scheme=scheme) as visit:
        shot = visit.page.screenshot(full_page=True, path=_screenshots(tmp_path) / f"demo-{address}-{scheme}.png")
        assert visit.errors == []
        assert set(visit.page.locator("td.status").all_inner_texts()) == {"200"}
        assert set(visit.page.locator("td.backend").all_inner_texts()) == {"disk", "bucket"}
        assert FOREVER in visit.page.locator("td.policy").all_inner_texts()
        assert visit.page.evaluate("document.fonts.check('50px \"Demo Dots\"')")
        assert visit.page.evaluate("document.querySelector('figure img').naturalWidth") == 1440
        own = getattr(demo, address)
        elsewhere = [url for url in visit.asked if url not in {own, own + "panel.json"}]
        assert all(url.startswith(demo.site) for url in elsewhere)
    assert len(shot) > 50_000


def _screenshots(tmp_path: Path) -> Path:
    """Where a person may look at them: ``screenshots/`` if asked for, else out of the way."""
    folder = PROJECT / "screenshots" if os.environ.get("KEEP_SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)
    return folder


def test_the_panel_shows_a_new_url_without_a_reload(demo: Demo, browser: Browser) -> None:
    with visiting(browser, demo.cdn) as visit:
        (demo.folder / "humans.txt").write_text("changed while somebody looked\n")
        visit.page.get_by_text("humans.txt has a new name: reload").wait_for(timeout=20_000)
        assert visit.page.locator("tr.changed td.url s").count() == 1
        assert visit.errors == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as started, socket.create_connection(_address(started.site)) as open_connection:
        open_connection.sendall(b"GET /panel.json HTTP/1.1\r\nHost: x\r\n\r\n")
        assert open_connection.recv(65536)
        children = psutil.Process(started.popen.pid).children(recursive=True)
        started.popen.send_signal(number)
        assert started.popen.wait(timeout=30) == 0
        assert started.popen.stdout is not None
        assert started.popen.stdout.read().strip() == "The demo has ended."
        assert [each for each in children if each.is_running()] == []
        for url in (started.site, started.cdn):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(_address(url), timeout=1)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


@pytest.mark.parametrize("option", ["--port", "--cdn-port"])
def test_a_taken_port_says_how_to_choose_another(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"--port": "--cdn-port", "--cdn-port": "--port"}[option]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert command.main([option, port, other, "0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"demo: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert f"make demo ARGS='{option} " in said


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(command.NEEDED, "no_such_library", "nothing at all")
    assert command.main([]) == 2
    said = capsys.readouterr().err
    assert "the demo needs no_such_library (for nothing at all)" in said
    assert "make demo" in said
