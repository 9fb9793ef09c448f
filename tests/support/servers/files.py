"""Servers of files, in processes of their own: SFTP (asyncssh) and WebDAV (WsgiDAV)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_SFTP = """
import asyncio, sys, asyncssh

class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False

async def main(folder, port):
    acceptor = await asyncssh.create_server(
        Anybody, "127.0.0.1", int(port),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=folder),
    )
    print(acceptor.get_port(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""

_WEBDAV = """
import sys
from cheroot.wsgi import Server
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

folder, port = sys.argv[1:]
app = WsgiDAVApp({
    "provider_mapping": {"/": FilesystemProvider(folder)},
    "simple_dc": {"user_mapping": {"*": {"ada": {"password": "not-so-secret"}}}},
    "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
    "logging": {"enable": False},
    "verbose": 0,
})
server = Server(("127.0.0.1", int(port)), app)
server.prepare()
print(server.bind_addr[1], flush=True)
server.serve()
"""


class FileServer:
    """A server over *folder* on a port of its own; a context."""

    SCRIPT: str
    #: ``storage_options`` of a root on it.
    options: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start, on the port of before if there was one."""
        command = [sys.executable, "-c", self.SCRIPT, str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


class SFTPServer(FileServer):
    """Lets everybody in."""

    SCRIPT = _SFTP

    @property
    def options(self) -> dict[str, Any]:  # type: ignore[override]
        return {"port": self.port, "username": "ada", "password": "not-so-secret", "look_for_keys": False}


class WebDAVServer(FileServer):
    """Lets ``ada`` in."""

    SCRIPT = _WEBDAV

    @property
    def options(self) -> dict[str, Any]:  # type: ignore[override]
        return {"base_url": f"http://127.0.0.1:{self.port}", "auth": ("ada", "not-so-secret")}
