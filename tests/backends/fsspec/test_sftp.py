"""A real SFTP server: served from, published to, and honest about what is missing, empty or unreachable."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, BackendUnavailable

pytest.importorskip("paramiko")
pytest.importorskip("asyncssh")


#: In a process of its own, since asyncssh leaves sockets to the garbage collector.
SERVER = """
import asyncio, sys, asyncssh

class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False

async def main(folder):
    acceptor = await asyncssh.create_server(
        Anybody, "127.0.0.1", 0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=folder),
    )
    print(acceptor.get_port(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


class Server:
    """An SFTP server over *folder* that lets everybody in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backends: list[Any] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> None:
        for backend in self.backends:
            backend._fs.client.close()
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "remote"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.close()


def opened(server: Server, path: str = "site", **how: Any) -> Any:
    options = {"port": server.port, "username": "ada", "password": "not-so-secret", "look_for_keys": False}
    server.backends.append(open_backend(f"sftp://127.0.0.1/{path}", options, **how))
    return server.backends[-1]


def test_it_is_written_read_listed_and_deleted(server: Server) -> None:
    backend = opened(server, must_exist=False)
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


def test_a_release_is_published_to_it_and_served_from_it(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.js").write_text("one")
    store = AssetStore()
    store.static("/assets/", root=source, name="assets", fingerprint="content")
    assert store.publish(opened(server, must_exist=False))[0].released
    assert not store.publish(opened(server, must_exist=False))[0].released
    (source / "app.js").write_text("two")
    assert store.publish(opened(server, must_exist=False))[0].released

    served = AssetStore()
    served.static("/assets/", root=opened(server), name="assets", fingerprint="content")
    served.refresh()
    with TestClient(Starlette(routes=served.routes)) as client:
        answer = client.get(served.url_for("assets", file="app.js"))
    assert (answer.status_code, answer.text) == (200, "two")
    assert served.health().ready


def test_missing_empty_and_unreachable_are_three_things(server: Server) -> None:
    (server.folder / "empty").mkdir()
    assert list(opened(server, "empty").walk()) == []
    assert list(opened(server, "nowhere", must_exist=False).walk()) == []
    with pytest.raises(BackendUnavailable, match="there is no '/nowhere'"):
        list(opened(server, "nowhere").walk())
    backend = opened(server, "empty")
    backend._fs.client.get_transport().close()
    with pytest.raises(BackendUnavailable, match="failed"):
        list(backend.walk())
