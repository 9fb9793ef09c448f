"""No page holds the event loop for long, however many files it names; and ``LoopWatch`` says how long it was."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.backends.local.backend import LocalBackend
from assetstore.mounts import url_for
from assetstore.names.fingerprint import ContentFingerprint
from assetstore.rewrite.backend import RECHECK_SECONDS, RewrittenBackend
from assetstore.templates.importmap import MAP_SECONDS
from assetstore.testing import LoopWatch
from assetstore.util.background import LoopBudget
from waiting import eventually


def spin(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize(
    ("hold", "is_busy"), [pytest.param(time.sleep, False, id="asleep"), pytest.param(spin, True, id="busy")]
)
@pytest.mark.parametrize("last", [True, False], ids=["at the end", "in the middle"])
def test_a_held_loop_is_measured(hold: Callable[[float], None], is_busy: bool, last: bool) -> None:
    async def main() -> LoopWatch:
        with LoopWatch() as watch:
            await asyncio.sleep(0.01)
            hold(0.2)
            if not last:
                await asyncio.sleep(0.01)
        return watch

    watch = asyncio.run(main())
    assert watch.longest_seconds >= 0.15
    assert (watch.longest_busy_seconds >= 0.15) is is_busy


def test_reset_gives_the_longest_stall_since_the_last_one() -> None:
    async def main() -> tuple[float, float]:
        with LoopWatch() as watch:
            spin(0.2)
            first, _ = watch.reset()
            await asyncio.sleep(0.01)
            return first, watch.reset()[0]

    first, second = asyncio.run(main())
    assert first >= 0.15
    assert second < first


def test_there_has_to_be_a_loop() -> None:
    with pytest.raises(RuntimeError), LoopWatch():
        pass


def test_a_loop_spends_its_budget_once_a_second_and_threads_have_none() -> None:
    budget = LoopBudget(0.01)

    async def spend() -> bool:
        with budget.spend():
            spin(0.02)
        return budget.is_spent

    def within_one_second() -> bool:
        second = int(time.monotonic())
        spent = asyncio.run(spend())
        return spent or second != int(time.monotonic())

    assert all(within_one_second() for _ in range(3))
    assert not budget.is_spent

    async def later() -> bool:
        return budget.is_spent

    assert eventually(lambda: not asyncio.run(later()), 3)


def test_rewritten_sheets_are_looked_at_again_without_holding_the_loop(tmp_path: Path) -> None:
    sheets, images = 100, 60
    for number in range(images):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    sheet = "".join(f".a{number} {{ background: url({number}.png) }}\n" for number in range(images))
    for number in range(sheets):
        (tmp_path / f"{number}.css").write_text(sheet)
    looks = []

    class Counted(LocalBackend):
        def stat(self, path: str) -> object:  # type: ignore[override]
            looks.append(path)
            return super().stat(path)

    backend = RewrittenBackend(Counted(tmp_path), ContentFingerprint())
    backend.prepare()

    async def page() -> list[str | None]:
        return [backend.stat(f"{number}.css").fingerprint for number in range(sheets)]

    async def pages() -> int:
        named = await page()
        assert None not in named
        await asyncio.sleep(RECHECK_SECONDS + 0.05)
        looks.clear()
        assert await page() == named
        return len(looks)

    # Looking at every file behind every sheet would be 6,100 stats in one turn of the loop.
    assert asyncio.run(pages()) < 3_000

    before = backend.stat("0.css").fingerprint
    (tmp_path / "7.png").write_bytes(b"another")

    async def names() -> list[str | None]:
        return [backend.stat("0.css").fingerprint for _ in range(5)]

    assert eventually(lambda: before not in asyncio.run(names()))
    backend.close()


def test_a_module_with_thousands_of_imports_does_not_hold_the_first_page(tmp_path: Path) -> None:
    count = 4_000
    for number in range(count):
        (tmp_path / f"m{number}.js").write_text("export default 1;")
    (tmp_path / "app.js").write_text("".join(f"import './m{number}.js';\n" for number in range(count)))
    store = AssetStore(IMPORT_MAP={"entries": ["app.js"]})
    store.static("/assets/", root=tmp_path, name="assets")

    async def pages() -> float:
        with LoopWatch() as watch:
            until = time.monotonic() + 60
            while len(store.pages.importmap().value["imports"]) < count:
                assert time.monotonic() < until
                await asyncio.sleep(0.01)
        return watch.longest_busy_seconds

    gc.collect()
    gc.freeze()  # a full collection of what all tests made is no matter of the page
    try:
        with store:
            stall = asyncio.run(pages())
            time.sleep(MAP_SECONDS + 0.1)
            began = time.thread_time()
            store.pages.importmap()  # in one go, since no loop waits
            in_one_go = time.thread_time() - began
    finally:
        gc.unfreeze()
    assert stall < in_one_go / 2


def test_many_missing_names_are_warned_of_without_a_search_for_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(500):
        (tmp_path / f"file-{number}.css").write_text("x")
    searched = []
    nearest = url_for.nearest
    monkeypatch.setattr(url_for, "nearest", lambda *args: searched.append(args) or nearest(*args))  # type: ignore[func-returns-value]
    store = AssetStore()
    store.static("/assets/", root=tmp_path, name="assets")

    async def page() -> None:
        for number in range(300):
            store.url_for("assets", file=f"fyle-{number}.css")

    with caplog.at_level(logging.WARNING, "assetstore"):
        asyncio.run(page())
    assert len(caplog.records) == 300
    assert "did you mean 'file-" in caplog.messages[0]
    assert len(searched) < 100
