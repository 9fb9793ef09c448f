"""A real SFTP server: served from, published to, and honest about what is missing, empty or unreachable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, BackendUnavailable, SettingsError
from servers.files import SFTPServer
from servers.programs import need_package


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    need_package("paramiko")
    need_package("asyncssh")
    folder = tmp_path / "remote"
    folder.mkdir()
    with SFTPServer(folder) as server:
        yield server


@pytest.fixture
def opened(server: SFTPServer) -> Iterator[Callable[..., Any]]:
    """Opens a folder of the server as a new process does."""
    made: list[Any] = []

    def open_(path: str = "site", **how: Any) -> Any:
        made.append(open_backend(f"sftp://127.0.0.1/{path}", server.options, **how))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def test_it_is_written_read_listed_and_deleted(server: SFTPServer, opened: Callable[..., Any]) -> None:
    backend = opened(must_exist=False)
    assert isinstance(backend, WritableBackend)
    assert list(backend.walk()) == []
    stat = backend.write("css/app.css", BytesFile.of("css/app.css", b"body"), WriteOptions("text/css", "no-cache"))
    assert (server.folder / "site/css/app.css").read_bytes() == b"body"
    assert backend.stat("css/app.css") == stat
    assert read_bytes(backend, "css/app.css") == b"body"
    assert [each.path for each in backend.walk()] == ["css/app.css"]
    backend.delete("css/app.css")
    with pytest.raises(AssetNotFound):
        backend.stat("css/app.css")


def test_a_release_is_published_to_it_and_served_from_it(opened: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.js").write_text("one")
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
    assert served.health().ready


def test_missing_empty_and_unreachable_are_three_things(server: SFTPServer, opened: Callable[..., Any]) -> None:
    (server.folder / "empty").mkdir()
    assert list(opened("empty").walk()) == []
    assert list(opened("nowhere", must_exist=False).walk()) == []
    with pytest.raises(BackendUnavailable, match="there is no '/nowhere'"):
        list(opened("nowhere").walk())
    backend = opened("empty")
    backend._fs.client.get_transport().close()
    with pytest.raises(BackendUnavailable, match="failed"):
        list(backend.walk())
    assert list(backend.walk()) == []  # connected again


def test_a_server_that_is_down_at_start_is_read_once_it_is_there(
    server: SFTPServer, opened: Callable[..., Any]
) -> None:
    """Nothing is connected while the application is wired; a lost connection is made anew."""
    (server.folder / "site").mkdir()
    (server.folder / "site/app.css").write_bytes(b"body")
    server.stop()
    backend = opened()
    assert isinstance(backend, WritableBackend)
    with pytest.raises(BackendUnavailable):
        backend.stat("app.css")
    server.start()
    assert read_bytes(backend, "app.css") == b"body"
    server.stop()
    with pytest.raises(BackendUnavailable):
        backend.stat("app.css")
    with pytest.raises(BackendUnavailable):
        list(backend.walk())
    server.start()
    assert read_bytes(backend, "app.css") == b"body"


def test_an_option_that_is_none_is_an_error_at_wiring() -> None:
    with pytest.raises(SettingsError, match="refuses its storage_options: 'usernam' is none of .*username"):
        open_backend("sftp://127.0.0.1/site", {"usernam": "ada"})


def test_a_host_that_does_not_exist_is_a_storage_that_is_down() -> None:
    store = AssetStore()
    store.static("/media/", root="sftp://no-such-host.invalid/site", name="media")
    assert store.url_for("media", file="app.css") == "/media/app.css"
    with pytest.raises(BackendUnavailable):
        open_backend("sftp://no-such-host.invalid/site").stat("app.css")
    store.close()
