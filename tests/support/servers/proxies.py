"""The proxies of ``examples/proxies``, started from the very files that users read.

Only what has to differ on this machine is replaced: the two ports, and the folder of the files.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from servers.processes import PROJECT, Process, ProcessStarter, free_port
from servers.programs import need_program

EXAMPLES = PROJECT / "examples/proxies"

#: Whom the proxies run as when the tests run as root: somebody who may not read everything.
NOBODY = 65534 if os.geteuid() == 0 else None

NGINX = """
daemon off;
worker_processes 1;
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    types {{ text/css css; text/javascript js; image/svg+xml svg; }}
    default_type application/octet-stream;
    access_log off;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {example};
}}
"""

APACHE = """
ServerRoot "{folder}"
ServerName 127.0.0.1
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
Mutex file:{folder}
ErrorLog "{folder}/error.log"
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule xsendfile_module {modules}/mod_xsendfile.so
Include "{example}"
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four: its example, its main configuration, how it is started, what the application is told."""

    name: str
    example: str
    argv: Callable[[Path], list[str | Path]]
    settings: Mapping[str, str]
    #: A main configuration around the example, where it is only a part of one.
    main: str = ""
    needs: tuple[str, ...] = ()
    env: Callable[[Path], dict[str, str]] = field(default=lambda folder: {})


def _settings(header: str, server: str) -> dict[str, str]:
    return {"STATIC_X_SENDFILE_HEADER": header, "STATIC_X_SENDFILE_SERVER": server}


def _caddy_home(folder: Path) -> dict[str, str]:
    return {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "nginx",
            "nginx/site.conf",
            lambda folder: ["nginx", "-p", folder, "-c", folder / "main.conf", "-e", folder / "early.log"],
            _settings("X-Accel-Redirect", "nginx"),
            NGINX,
        ),
        Kind(
            "caddy",
            "caddy/Caddyfile",
            lambda folder: ["caddy", "run", "--config", folder / "site.conf", "--adapter", "caddyfile"],
            _settings("X-Accel-Redirect", "caddy"),
            env=_caddy_home,
        ),
        Kind(
            "apache",
            "apache/site.conf",
            lambda folder: ["apache", "-f", folder / "main.conf", "-D", "FOREGROUND"],
            _settings("X-Sendfile", "apache"),
            APACHE,
            needs=("mod_xsendfile",),
        ),
        Kind(
            "lighttpd",
            "lighttpd/lighttpd.conf",
            lambda folder: ["lighttpd", "-D", "-f", folder / "site.conf"],
            _settings("X-Sendfile", "lighttpd"),
        ),
    )
}

#: The two that fetch from a bucket what the application verified.
BUCKET_KINDS = {
    "nginx": replace(KINDS["nginx"], example="nginx/bucket.conf", settings={}),
    "caddy": replace(KINDS["caddy"], example="caddy/bucket.Caddyfile", settings={}),
}


def start_proxy(
    kind: Kind,
    starter: ProcessStarter,
    folder: Path,
    *,
    app_port: int,
    files: Path | None,
    change: Callable[[str], str] = lambda text: text,
) -> Process:
    """Start *kind* before the application at *app_port*; *files* stands for ``/srv/site``.

    *folder* takes its configuration and logs; *change* may spoil the example.
    """
    needed = {name: need_program(name) for name in kind.needs}
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    example = (EXAMPLES / kind.example).read_text()
    for shown, real in (("127.0.0.1:8000", f"127.0.0.1:{app_port}"), ("8080", str(port)), ("/srv/site", str(files))):
        assert shown in example or kind.name == "lighttpd" or files is None
        example = example.replace(shown, real)
    example = example.replace('"port" => 8000', f'"port" => {app_port}')
    if kind.name == "caddy":
        example = "{\n\tadmin off\n}\n" + example
    (folder / "site.conf").write_text(change(example))
    if kind.main:
        modules = needed.get("mod_xsendfile", Path()).parent
        main = kind.main.format(folder=folder, example=folder / "site.conf", modules=modules)
        (folder / "main.conf").write_text(main)
    program, *args = kind.argv(folder)
    give_away(folder)
    return starter([need_program(str(program)), *args], port=port, env=kind.env(folder), user=NOBODY, within_seconds=10)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the proxies may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="assetstore-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def give_away(folder: Path) -> None:
    """Let a program that runs as :data:`NOBODY` write in *folder*."""
    if NOBODY is not None:
        os.chown(folder, NOBODY, NOBODY)
