"""A real WebDAV server: served from, published to, and honest about what is missing, empty, forbidden or unreachable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, BackendCredentials, BackendUnavailable, PublishConflict
from servers.files import WebDAVServer
from servers.processes import free_port
from servers.programs import need_package

PLAIN = WriteOptions("text/css", "no-cache")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebDAVServer]:
    need_package("webdav4")
    need_package("wsgidav")
    need_package("cheroot")
    folder = tmp_path / "remote"
    folder.mkdir()
    with WebDAVServer(folder) as server:
        yield server


@pytest.fixture
def opened(server: WebDAVServer) -> Iterator[Callable[..., Any]]:
    """Opens a folder of the server as a new process does."""
    made: list[Any] = []

    def open_(path: str = "site", options: Mapping[str, Any] = MappingProxyType({}), **how: Any) -> Any:
        made.append(open_backend(f"webdav://{path}", {**server.options, **options}, **how))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def test_it_is_written_read_listed_and_deleted(server: WebDAVServer, opened: Callable[..., Any]) -> None:
    backend = opened(must_exist=False)
    assert isinstance(backend, WritableBackend)
    assert list(backend.walk()) == []
    stat = backend.write("css/app.css", BytesFile.of("css/app.css", b"body"), PLAIN)
    assert (server.folder / "site/css/app.css").read_bytes() == b"body"
    assert [each.name for each in (server.folder / "site/css").iterdir()] == ["app.css"]
    assert backend.stat("css/app.css") == stat
    assert stat.validator
    assert read_bytes(backend, "css/app.css") == b"body"
    assert [each.path for each in backend.walk()] == ["css/app.css"]
    backend.delete("css/app.css")
    with pytest.raises(AssetNotFound):
        backend.stat("css/app.css")


def test_a_file_is_replaced_and_only_where_the_condition_holds(
    server: WebDAVServer, opened: Callable[..., Any]
) -> None:
    backend = opened(must_exist=False)
    first = backend.write("a.css", BytesFile.of("a.css", b"one"), PLAIN)
    with pytest.raises(PublishConflict):
        backend.write("a.css", BytesFile.of("a.css", b"x"), WriteOptions("text/css", "", create_only=True))
    second = backend.write(
        "a.css", BytesFile.of("a.css", b"three"), WriteOptions("a/b", "", if_validator=first.validator)
    )
    assert read_bytes(backend, "a.css") == b"three"
    assert second.validator != first.validator
    with pytest.raises(PublishConflict):
        backend.write("a.css", BytesFile.of("a.css", b"x"), WriteOptions("a/b", "", if_validator=first.validator))


def test_a_release_is_published_to_it_and_served_from_it(opened: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.js").write_text("one")
    (source / "film.bin").write_bytes(bytes(range(256)) * 20_000)
    store = AssetStore()
    store.static("/assets/", root=source, name="assets", fingerprint="content")
    assert store.publish(opened(must_exist=False))[0].released
    assert not store.publish(opened(must_exist=False))[0].released
    (source / "app.js").write_text("two")
    assert store.publish(opened(must_exist=False))[0].released

    served = AssetStore()
    served.static("/assets/", root=opened(), name="assets", fingerprint="content")
    served.refresh()
    with TestClient(Starlette(routes=served.routes)) as client:
        answer = client.get(served.url_for("assets", file="app.js"))
        assert (answer.status_code, answer.text) == (200, "two")
        film = client.get(served.url_for("assets", file="film.bin"), headers={"range": "bytes=4000000-4000009"})
        assert (film.status_code, film.content) == (206, bytes(range(256))[:10])
    assert served.health().ready


def test_missing_empty_forbidden_and_unreachable_are_four_things(
    server: WebDAVServer, opened: Callable[..., Any]
) -> None:
    (server.folder / "empty").mkdir()
    assert list(opened("empty").walk()) == []
    assert list(opened("nowhere", must_exist=False).walk()) == []
    with pytest.raises(BackendUnavailable, match="there is no 'nowhere'"):
        list(opened("nowhere").walk())
    with pytest.raises(BackendCredentials):
        opened("empty", {"auth": ("ada", "wrong")}).stat("a.css")
    down = opened("empty", {"base_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(BackendUnavailable):
        down.stat("a.css")
    with pytest.raises(BackendUnavailable):
        list(down.walk())
