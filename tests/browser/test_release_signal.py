"""A tab that was open before a release reloads once, as the README of the framework examples says; in Chromium, with the example itself."""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi.wire import until
from servers.processes import PROJECT, Process, ProcessStarter

pytestmark = [pytest.mark.program("chromium"), pytest.mark.timeout(90)]

#: A server that is still the old one, while its neighbour already tells of the release.
LAGGING = """
from starlette.responses import PlainTextResponse
from starlette_app import app as old

async def app(scope, receive, send):
    told = scope["type"] == "http" and scope["path"] == "/assets-version"
    await (PlainTextResponse("the next release") if told else old)(scope, receive, send)
"""

# Chromium without a screen hides no tab, so the page is told what it would be told.
LOOK_AWAY = """
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true })
    document.dispatchEvent(new Event("visibilitychange"))
"""
LOOK_BACK = 'delete document.visibilityState; document.dispatchEvent(new Event("visibilitychange"))'


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples' folder, whose assets a test may change."""
    folder = tmp_path / "frameworks"
    shutil.copytree(PROJECT / "examples/frameworks", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "lagging.py").write_text(LAGGING)
    return folder


@pytest.fixture
def serve(examples: Path, start_process: ProcessStarter) -> Callable[[str], Process]:
    return lambda app: start_process.asgi(app, folder=examples)


class Tab:
    """A tab with a page of the site; it counts how often that was loaded, and what failed."""

    def __init__(self, browser: Any, url: str) -> None:
        self._page = browser.page
        self.loads = 0
        self.failed: list[str] = []
        self._page.on("load", lambda page: self._loaded())
        self._page.on("response", self._answered)
        browser.visit(url)

    def _loaded(self) -> None:
        self.loads += 1

    def _answered(self, response: Any) -> None:
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):  # the example has none
            self.failed.append(response.url)

    @property
    def greeting(self) -> str:
        return str(self._page.text_content("#greeting"))

    def return_to(self, loads: int) -> None:
        """Look away and back: the tab asks for the version, and was loaded *loads* times in all when it is still again."""
        self._page.evaluate(LOOK_AWAY)
        with self._page.expect_response("**/assets-version"):
            self._page.evaluate(LOOK_BACK)
        deadline = time.monotonic() + 15
        while self.loads < loads and time.monotonic() < deadline:
            self._page.wait_for_timeout(50)
        self._page.wait_for_load_state("networkidle")
        self._page.wait_for_timeout(500)  # long enough for a load too many
        assert self.loads == loads


def release(examples: Path, site: Process, word: str) -> None:
    """Change one module, and wait until the server tells of another version."""

    def version() -> bytes:
        with urllib.request.urlopen(f"{site.url}/assets-version", timeout=10) as answer:
            return bytes(answer.read())

    before, module = version(), examples / "assets/js/greeting.js"
    module.write_text(f"export const greet = (name) => `{word}, ${{name}}`\n")
    until(lambda: version() != before)
    time.sleep(0.2)


def test_a_stale_tab_reloads_once_for_each_release_and_then_runs_it(
    examples: Path, serve: Callable[[str], Process], browser: Any
) -> None:
    site = serve("starlette_app:app")
    tab = Tab(browser, site.url + "/")
    tab.return_to(loads=1)  # nothing was released yet
    for loads, word in ((2, "Salve"), (3, "Ave")):
        release(examples, site, word)
        assert tab.loads == loads - 1, "it does not disturb whoever is reading"
        tab.return_to(loads)
        assert tab.greeting.startswith(word)
        tab.return_to(loads)
    assert tab.failed == []
    assert not [line for line in browser.console if line.startswith("pageerror")]


def test_a_server_that_is_still_the_old_one_cannot_make_it_loop(serve: Callable[[str], Process], browser: Any) -> None:
    tab = Tab(browser, serve("lagging:app").url + "/")
    for _ in range(3):
        tab.return_to(loads=2)
