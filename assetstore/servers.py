"""``assetstore serve``: the application of one mount, where a server listens, and the servers that it runs on.

Workers are processes of their own, so a :class:`Tree` travels to them through the environment.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import socket
import ssl
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from starlette.applications import Starlette
from starlette.types import ASGIApp

from assetstore.errors import SettingsError
from assetstore.http.rsgi import RSGIApplication
from assetstore.store import AssetStore

#: The environment variable by which a worker gets its tree.
VARIABLE = "ASSETSTORE_TREE"
#: What a server imports in each worker; called without arguments it gives the application.
FACTORY, RSGI_FACTORY = (f"assetstore.servers:{name}from_environment" for name in ("", "rsgi_"))


@dataclass(frozen=True, slots=True)
class Tree:
    """What is served, as the command line said it. See :meth:`AssetStore.static` for the fields."""

    root: str
    url: str = "/assets/"
    allowed_ext: tuple[str, ...] = ()
    fingerprint: bool | Literal["mtime", "content"] = True
    public: bool = True
    default_file: str | None = None
    references: Literal["rewrite", "strict"] | None = None
    manifest: str | None = None
    index: Literal["listing", "lazy"] = "listing"
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def store(self) -> AssetStore:
        """A store with this one mount.

        Raises:
            SettingsError: the root or another value is no good.
        """
        assets = AssetStore({}, ASSETS_URL="/")  # "site/" is below the root of the domain
        assets.static(
            self.url,
            root=self.root,
            name="assets",
            allowed_ext=self.allowed_ext,
            fingerprint=self.fingerprint,
            public=self.public,
            defaults={"file": self.default_file} if self.default_file is not None else None,
            storage_options=self.storage_options or None,
            references=self.references,
            manifest=self.manifest,
            index=self.index,
        )
        return assets

    def to_environment(self) -> None:
        """Leave the tree for the workers that this process will start."""
        os.environ[VARIABLE] = json.dumps(asdict(self))


def application(store: AssetStore) -> ASGIApp:
    """*store* alone as an ASGI application: anything outside its mounts is a 404."""
    return store.wrap(_behind(store))


def _behind(store: AssetStore) -> Starlette:
    """What stands behind the store: nothing but its own routes, which may look up any name in the storage."""
    return Starlette(routes=store.routes, lifespan=store.lifespan)


def from_environment() -> ASGIApp:
    """The application of the tree that the parent process left.

    Raises:
        SettingsError: there is none.
    """
    made = application(_given().store())
    _freeze()
    return made


def rsgi_from_environment() -> RSGIApplication:
    """The same for a server that speaks RSGI.

    Raises:
        SettingsError: as :func:`from_environment`.
    """
    store = _given().store()
    behind = _behind(store)
    made = RSGIApplication(store.wrap(behind), store.response_cache, store.lifespan(behind))
    _freeze()
    return made


def _freeze() -> None:
    """Freeze start-up objects so that the garbage collector skips them: with boto3 a full collection takes 17 ms."""
    gc.collect()
    gc.freeze()


def _given() -> Tree:
    try:
        given = json.loads(os.environ[VARIABLE])
    except (KeyError, ValueError):
        raise SettingsError(f"{VARIABLE} holds no tree; start the server with 'assetstore serve'") from None
    return Tree(**{**given, "allowed_ext": tuple(given["allowed_ext"])})


@dataclass(frozen=True, slots=True)
class Listen:
    """A place to listen at."""

    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: int = 8000
    #: Path of a unix socket; host and port count for nothing then.
    uds: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @property
    def url(self) -> str:
        """The address as a person would type it, without a closing slash."""
        if self.uds is not None:
            return f"unix:{self.uds}:"
        scheme = "http" if self.tls_cert is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def checked(self) -> Listen:
        """The same place with its real port, known to be free and with TLS files that load.

        Raises:
            SettingsError: the port or socket is taken, the host is not ours, or a TLS file is no good.
        """
        self._check_tls()
        if self.uds is not None:
            _check_socket_path(self.uds)
            return self
        return replace(self, port=_free(self.host, self.port))

    def _check_tls(self) -> None:
        if self.tls_cert is None and self.tls_key is None:
            return
        if self.tls_cert is None or self.tls_key is None:
            raise SettingsError("TLS needs both --tls-cert and --tls-key")
        for option, file in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            if not os.access(file, os.R_OK):
                raise SettingsError(f"{option}={file!r} is no file that can be read")
        try:
            # Each worker would prompt for a pass phrase on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise SettingsError(
                f"--tls-cert={self.tls_cert!r} and --tls-key={self.tls_key!r} do not go together: {error}; "
                "give PEM files, the key without a pass phrase"
            ) from None


def _free(host: str, port: int) -> int:
    """*port* if nobody listens on it, or a free one for 0."""
    if not 0 <= port <= 65_535:
        raise SettingsError(f"port {port} is out of range; give 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except socket.gaierror as error:
        raise SettingsError(f"host {host!r} is no address of this machine: {error.strerror}") from None
    except PermissionError:
        raise SettingsError(f"port {port} is for the superuser alone; give one above 1023, as --port 8000") from None
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}; give another, as --port {(port or 8000) + 1}"
        ) from None


def _check_socket_path(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not Path(path).absolute().parent.is_dir():
            raise SettingsError(f"--uds={path!r}: there is no such directory") from None
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"--uds={path!r} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return  # left over from a server that is gone; the next one takes its place
    raise SettingsError(f"--uds={path!r}: another server listens there")


#: How much granian holds of a connection or stream for a client that reads slowly, in bytes; its own default is 400 KiB.
BUFFER_BYTES = 64 * 1024
#: How long responses under way may take to end once the server was told to stop, in seconds.
GRACE_SECONDS = 10


class Run(Protocol):
    """Serve the tree that :meth:`Tree.to_environment` left, until a signal ends it."""

    def __call__(self, listen: Listen, *, workers: int, log: bool) -> None: ...


def run_granian(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve by granian: a directory through RSGI, what crosses a network through ASGI.

    In granian 2.8 a stream of RSGI takes what it is given without waiting for its client: 200 clients that read a 50 MB
    object slowly would be 1.7 GiB. ASGI waits. Of a directory, large files are sent by granian itself.
    """
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings, HTTP2Settings
    from granian.log import LogLevels

    crosses = "://" in _given().root
    Granian(
        FACTORY if crosses else RSGI_FACTORY,
        factory=True,
        interface=Interfaces.ASGI if crosses else Interfaces.RSGI,
        address=listen.host,
        port=listen.port,
        uds=None if listen.uds is None else Path(listen.uds),
        ssl_cert=None if listen.tls_cert is None else Path(listen.tls_cert),
        ssl_key=None if listen.tls_key is None else Path(listen.tls_key),
        websockets=False,
        http1_settings=HTTP1Settings(max_buffer_size=BUFFER_BYTES),
        http2_settings=HTTP2Settings(max_send_buffer_size=BUFFER_BYTES),
        workers=workers,
        log_access=log,
        log_level=LogLevels.info if log else LogLevels.warning,
        workers_kill_timeout=GRACE_SECONDS,
    ).serve()


def run_uvicorn(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve by uvicorn, through ASGI."""
    import uvicorn

    uvicorn.run(
        FACTORY,
        factory=True,
        host=listen.host,
        port=listen.port,
        uds=listen.uds,
        ssl_certfile=listen.tls_cert,
        ssl_keyfile=listen.tls_key,
        workers=workers,
        access_log=log,
        log_level="info" if log else "warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


#: By the name of their library.
SERVERS: dict[str, Run] = {"granian": run_granian, "uvicorn": run_uvicorn}


def open_server(wanted: str | None = None, names: Sequence[str] = tuple(SERVERS)) -> Run:
    """The server called *wanted*, or the first of *names* whose library is installed.

    Raises:
        SettingsError: the library is not installed; the message says how to get it.
    """
    choices = names if wanted is None else [wanted]
    for name in choices:
        if importlib.util.find_spec(name) is not None:
            return SERVERS[name]
    raise SettingsError(
        f"serving needs {' or '.join(choices)}, which is not installed: pip install 'assetstore[serve]'"
    )
