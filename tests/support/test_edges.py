"""The pull CDNs cache as they should, and are broken as they say."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from servers.edges import NGINX_FAULTS, VARNISH_FAULTS, StartEdge

HEADERS = {
    "content-type": "text/css",
    "cache-control": "max-age=31536000, public, immutable",
    "etag": '"1"',
    "vary": "Accept-Encoding",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
}


class Origin:
    """Answers everything below /css/, coded where that is asked for; counts."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.paths.append(scope["path"])
        asked = dict(scope["headers"])
        found = "/css/" in scope["path"]
        coded = found and b"br" in asked.get(b"accept-encoding", b"")
        body = b"coded" if coded else b"plain" if found else b"none"
        headers = HEADERS if found else {"cache-control": "no-store", "content-type": "text/plain"}
        more = {"content-length": str(len(body)), **({"content-encoding": "br"} if coded else {})}
        raw = [(name.encode(), value.encode()) for name, value in {**headers, **more}.items()]
        conditional = found and asked.get(b"if-none-match") == b'"1"'
        await send(
            {"type": "http.response.start", "status": 304 if conditional else 200 if found else 404, "headers": raw}
        )
        await send({"type": "http.response.body", "body": b"" if conditional else body})


@pytest.fixture(scope="module")
def origin() -> Origin:
    return Origin()


@pytest.fixture(scope="module")
def origin_port(origin: Origin, serve_module_app: Callable[[Any], str]) -> int:
    return urlsplit(serve_module_app(origin)).port or 0


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_a_good_edge_asks_once_and_keeps_every_header(
    kind: str, edge: StartEdge, origin: Origin, origin_port: int
) -> None:
    port = edge(kind, origin_port).port
    path = f"/css/{kind}.css"
    first, second = get(port, path), get(port, path)
    assert origin.paths.count(path) == 1
    assert second[1]["x-cache"] == "HIT"
    assert (first[2], second[2]) == (b"plain", b"plain")
    assert {name: second[1][name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_an_edge_keeps_no_missing_file(kind: str, edge: StartEdge, origin: Origin, origin_port: int) -> None:
    port = edge(kind, origin_port).port
    assert [get(port, f"/no/{kind}")[0] for _ in range(2)] == [404, 404]
    assert origin.paths.count(f"/no/{kind}") == 2


@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_an_edge_may_pull_from_another_path(kind: str, edge: StartEdge, origin: Origin, origin_port: int) -> None:
    port = edge(kind, origin_port, prefix="/static/", path="/assets/").port
    assert get(port, f"/static/css/{kind}-moved.css")[0] == 200
    assert origin.paths[-1] == f"/assets/css/{kind}-moved.css"


#: What each fault does that a good edge does not.
SYMPTOMS: dict[str, Callable[[int], bool]] = {
    "drops cors": lambda port: "access-control-allow-origin" not in get(port, "/css/a")[1],
    "drops corp": lambda port: "cross-origin-resource-policy" not in get(port, "/css/a")[1],
    "drops nosniff": lambda port: "x-content-type-options" not in get(port, "/css/a")[1],
    "drops etag": lambda port: "etag" not in get(port, "/css/a")[1],
    "drops vary": lambda port: "vary" not in get(port, "/css/a")[1],
    "drops cache-control": lambda port: "cache-control" not in get(port, "/css/a")[1],
    "rewrites cache-control": lambda port: "immutable" not in get(port, "/css/a")[1]["cache-control"],
    "drops content-encoding": lambda port: (
        (answer := get(port, "/css/a", accept_encoding="br"))[2] == b"coded" and "content-encoding" not in answer[1]
    ),
    "drops accept-encoding": lambda port: get(port, "/css/a", accept_encoding="br")[2] == b"plain",
    "mixes codings": lambda port: (
        get(port, "/css/a", accept_encoding="br")[2] == b"coded" and get(port, "/css/a")[2] == b"coded"
    ),
    "caches missing files": lambda port: [get(port, "/no/a")[1]["x-cache"] for _ in range(2)][1] == "HIT",
    "never caches": lambda port: "HIT" not in [get(port, "/css/a")[1]["x-cache"] for _ in range(2)],
    "rewrites types": lambda port: get(port, "/css/a")[1]["content-type"] == "application/octet-stream",
    "poisons 304": lambda port: (get(port, "/css/a", if_none_match='"1"')[0], get(port, "/css/a")[0]) == (304, 304),
}


@pytest.mark.parametrize("fault", [each for each in NGINX_FAULTS if each != "good"])
def test_nginx_is_broken_as_it_says(fault: str, edge: StartEdge, origin_port: int) -> None:
    assert SYMPTOMS[fault](edge("nginx", origin_port, fault).port)
    assert not SYMPTOMS[fault](edge("nginx", origin_port).port)


@pytest.mark.parametrize("fault", [each for each in VARNISH_FAULTS if each != "good"])
def test_varnish_is_broken_as_it_says(fault: str, edge: StartEdge, origin_port: int) -> None:
    assert SYMPTOMS[fault](edge("varnish", origin_port, fault).port)


def test_varnish_that_is_whole_has_none_of_these_symptoms(edge: StartEdge, origin_port: int) -> None:
    port = edge("varnish", origin_port).port
    assert [fault for fault in VARNISH_FAULTS if fault != "good" and SYMPTOMS[fault](port)] == []
