"""Answers pass through the middleware that applications really have, unharmed and not compressed twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from asgi.tree import DATA, STYLE, put
from assetstore import AssetStore

BIG = DATA * 300


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


@pytest.fixture(
    params=[
        pytest.param([Middleware(BaseHTTPMiddleware, dispatch=pass_on)], id="BaseHTTPMiddleware"),
        pytest.param([Middleware(GZipMiddleware)], id="GZipMiddleware"),
        pytest.param([Middleware(CORSMiddleware, allow_origins=["*"])], id="CORSMiddleware"),
        pytest.param([Middleware(BaseHTTPMiddleware, dispatch=pass_on), Middleware(GZipMiddleware)], id="two"),
    ]
)
def client(request: pytest.FixtureRequest, tree: Path) -> Iterator[TestClient]:
    put(tree, "big.bin", BIG)
    store = AssetStore()
    store.static("/assets/", root=tree, name="assets")
    with TestClient(Starlette(routes=store.routes, middleware=request.param)) as client:
        yield client


def test_a_large_file_arrives_whole(client: TestClient) -> None:
    assert client.get("/assets/big.bin", headers={"Accept-Encoding": "identity"}).content == BIG


def test_a_compressed_file_is_compressed_once(client: TestClient) -> None:
    reply = client.get("/assets/css/app.css", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.content == STYLE


def test_a_part_is_what_was_asked_for(client: TestClient) -> None:
    reply = client.get("/assets/css/app.css", headers={"Range": "bytes=0-5", "Accept-Encoding": "identity"})
    assert (reply.status_code, reply.content) == (206, STYLE[:6])


def test_a_304_has_one_of_each_header(client: TestClient) -> None:
    reply = client.get("/assets/data.bin", headers={"If-None-Match": "*", "Origin": "https://a.example"})
    names = [name for name, _ in reply.headers.multi_items()]
    assert reply.status_code == 304
    assert len(names) == len(set(names))
    assert reply.headers["access-control-allow-origin"] == "*"
