"""Pull CDNs: nginx with a cache, and Varnish, each before an origin of the test's choosing.

Each has a good configuration and some that are broken the way people break them, under the names in
:data:`NGINX_FAULTS` and :data:`VARNISH_FAULTS`; a check of a CDN has to find every one of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.processes import Process, ProcessStarter, free_port
from servers.programs import need_program
from servers.proxies import NOBODY, give_away, open_folder

NGINX = """
daemon off;
worker_processes 1;
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=edge:1m inactive=10m max_size=64m;
    server {{
        listen 127.0.0.1:{port};
        location {place} {{
            proxy_pass http://127.0.0.1:{origin}{path};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_cache edge;
            proxy_cache_revalidate on;
            proxy_cache_lock on;
            add_header X-Cache $upstream_cache_status always;
            {fault}
        }}
    }}
}}
"""

#: What is written into the location to break it.
NGINX_FAULTS = {
    "good": "",
    "drops cors": "proxy_hide_header Access-Control-Allow-Origin;",
    "drops corp": "proxy_hide_header Cross-Origin-Resource-Policy;",
    "drops nosniff": "proxy_hide_header X-Content-Type-Options;",
    "drops etag": "proxy_hide_header ETag;",
    "drops vary": "proxy_hide_header Vary;",
    "drops cache-control": "proxy_hide_header Cache-Control;",
    "rewrites cache-control": 'proxy_hide_header Cache-Control; add_header Cache-Control "max-age=60";',
    "drops content-encoding": "proxy_hide_header Content-Encoding;",
    "drops accept-encoding": 'proxy_set_header Accept-Encoding "";',
    "mixes codings": ("proxy_ignore_headers Vary Cache-Control; proxy_cache_valid 200 10m; proxy_cache_key $uri;"),
    "caches missing files": "proxy_ignore_headers Cache-Control; proxy_cache_valid any 10m;",
    "never caches": "proxy_cache_bypass 1; proxy_no_cache 1;",
    "rewrites types": "proxy_hide_header Content-Type; add_header Content-Type application/octet-stream;",
    "poisons 304": "proxy_set_header If-None-Match $http_if_none_match;",
}

VARNISH = """
vcl 4.1;

backend origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}

sub vcl_recv {{
    {place}
    {recv}
}}

sub vcl_backend_response {{
    {response}
}}

sub vcl_deliver {{
    set resp.http.X-Cache = "MISS";
    if (obj.hits > 0) {{ set resp.http.X-Cache = "HIT"; }}
    {deliver}
}}
"""

#: What is written into which subroutine to break it.
VARNISH_FAULTS = {
    "good": {},
    "drops cors": {"deliver": "unset resp.http.Access-Control-Allow-Origin;"},
    "rewrites cache-control": {"deliver": 'set resp.http.Cache-Control = "max-age=60";'},
    "drops etag": {"deliver": "unset resp.http.ETag;"},
    "caches missing files": {"response": "set beresp.ttl = 10m; return (deliver);"},
    "never caches": {"recv": "return (pass);"},
}


def start_nginx_cache(
    starter: ProcessStarter, folder: Path, origin_port: int, fault: str = "good", *, prefix: str = "/", path: str = ""
) -> Process:
    """nginx as a pull CDN: what is asked for under *prefix* comes from *path* on the origin."""
    program = need_program("nginx")
    port = free_port()
    text = NGINX.format(
        folder=folder, port=port, origin=origin_port, place=prefix, path=path, fault=NGINX_FAULTS[fault]
    )
    (folder / "edge.conf").write_text(text)
    give_away(folder)
    argv: list[str | Path] = [program, "-p", folder, "-c", folder / "edge.conf", "-e", folder / "early.log"]
    return starter(argv, port=port, user=NOBODY)


def start_varnish(
    starter: ProcessStarter, folder: Path, origin_port: int, fault: str = "good", *, prefix: str = "/", path: str = ""
) -> Process:
    """Varnish as a pull CDN: what is asked for under *prefix* comes from *path* on the origin."""
    program = need_program("varnish")
    port = free_port()
    parts = {"recv": "", "response": "", "deliver": "", **VARNISH_FAULTS[fault]}
    place = f'set req.url = regsub(req.url, "^{prefix}", "{path}");' if path else ""
    (folder / "edge.vcl").write_text(VARNISH.format(origin=origin_port, place=place, **parts))
    give_away(folder)
    argv: list[str | Path] = [program, "-F", "-j", "none", "-T", "none", "-a", f"127.0.0.1:{port}"]
    argv += ["-n", folder / "state", "-f", folder / "edge.vcl", "-s", "malloc,32m"]
    return starter(argv, port=port, user=NOBODY)


#: Starts one: ``edge("nginx", origin_port, "drops cors")``.
StartEdge = Callable[..., Process]

_STARTS = {"nginx": start_nginx_cache, "varnish": start_varnish}


def _edge(starter: ProcessStarter) -> Iterator[StartEdge]:
    with contextlib.ExitStack() as folders:

        def start(kind: str, origin_port: int, fault: str = "good", *, prefix: str = "/", path: str = "") -> Process:
            folder = folders.enter_context(open_folder())
            return _STARTS[kind](starter, folder, origin_port, fault, prefix=prefix, path=path)

        yield start
        starter.close()  # before its folders go


@pytest.fixture
def edge(start_process: ProcessStarter) -> Iterator[StartEdge]:
    """``edge("nginx" or "varnish", origin_port, fault, prefix=…, path=…)`` is a pull CDN for one test."""
    yield from _edge(start_process)


@pytest.fixture(scope="module")
def module_edge(start_module_process: ProcessStarter) -> Iterator[StartEdge]:
    """As ``edge``, until the module's tests end."""
    yield from _edge(start_module_process)
