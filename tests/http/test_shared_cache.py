"""All mounts of a store share one response cache, also those whose responses are changed behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from asgi.tree import plant, put
from asgi.wire import exchange, request_of
from assetstore import AssetStore
from assetstore.http.cache import PLAN_BYTES
from servers.processes import ProcessStarter

SUPPORT = Path(__file__).parents[1] / "support"
KINDS: list[dict[str, Any]] = [
    {},
    {"html": True},
    {"fallback": "index.html"},
    {"cors": ["https://ok.example"]},
]


def test_one_budget_holds_for_every_kind_of_mount(tmp_path: Path) -> None:
    budget = 1024 * 1024
    store = AssetStore({}, ASSETS_MEMORY_BYTES=budget)
    for number, options in enumerate(KINDS):
        for name in range(30):
            put(tmp_path, f"{number}/{name}.bin", bytes([number]) * 50_000)
        store.static(f"/m{number}/", root=tmp_path / str(number), **options)
    kept: set[int] = set()
    with TestClient(Starlette(routes=store.routes)) as client:
        for name in range(30):
            for number in range(len(KINDS)):
                assert client.get(f"/m{number}/{name}.bin").content == bytes([number]) * 50_000
                kept.add(len(store.response_cache))
                assert store.response_cache.bytes <= budget + PLAN_BYTES
    assert max(kept) > len(KINDS), "all of them are kept there"
    assert store.response_cache.bytes > budget, "and fill it: what one does not need another may have"


@pytest.mark.parametrize("options", KINDS[1:], ids=str)
def test_what_is_changed_behind_the_cache_is_found_in_it_by_nobody_else(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """Not by the middleware in front, and not by a client that spells the key as a path."""
    put(tmp_path, "a.css", b"a{}")
    put(tmp_path, "index.html", b"<p>index")
    store = AssetStore({})
    store.static("/assets/", root=tmp_path, name="assets", **options)
    app = store.wrap(Starlette())
    headers = {"origin": "https://ok.example", "accept": "text/html"}
    with TestClient(app) as client:
        for path, body in (("/assets/a.css", "a{}"), ("/assets/no-such", None)):
            replies = [client.get(path, headers=headers) for _ in range(3)]
            assert len({(reply.status_code, reply.text, reply.headers.get("vary")) for reply in replies}) == 1
            assert body in {None, replies[0].text}
            if "cors" in options:
                assert all("Origin" in reply.headers["vary"] for reply in replies)
    keys = list(store.response_cache._resources)
    assert keys
    for key in keys:
        with pytest.raises(UnicodeEncodeError):  # so no percent-encoded UTF-8 is decoded to it
            key.encode()


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_no_target_names_what_is_kept_of_a_changed_mount(
    server: str, start_process: ProcessStarter, tmp_path: Path
) -> None:
    plant(tmp_path)
    env = {"SERVED_ROOT": str(tmp_path), "MOUNT_OPTIONS": '{"cors": ["https://ok.example"]}'}
    served = start_process.asgi("asgi.options:wrapped", server=server, folder=SUPPORT, env=env)
    for _ in range(2):
        assert exchange(served.port, request_of(b"/assets/css/app.css")).status == 200
    for target in (b"%27assets%27%0A/assets/css/app.css", b"%ED%A0%80%27assets%27%0A/assets/css/app.css"):
        assert exchange(served.port, request_of(target)).status in {400, 404}


def test_hidden_names_and_long_paths_are_kept_too(tmp_path: Path) -> None:
    long = "/".join(["x" * 200] * 5) + ".css"
    put(tmp_path, long, b"a{}")
    put(tmp_path, ".foo/a.css", b"b{}")
    store = AssetStore({})
    store.static("/assets/", root=tmp_path, name="assets", hidden=(".foo",))
    urls = [store.url_for("assets", file=long), "/assets/.foo/a.css"]
    assert len(urls[0]) > 1024
    with TestClient(Starlette(routes=store.routes)) as client:
        for number, url in enumerate(urls, 1):
            assert client.get(url).status_code == 200
            assert len(store.response_cache) == number
