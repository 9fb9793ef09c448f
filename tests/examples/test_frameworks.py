"""Each framework's example runs as it is, and what its page names is there."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

FRAMEWORKS = Path(__file__).parents[2] / "examples" / "frameworks"


@pytest.fixture
def load_example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports one of the examples as if it were run from its folder."""
    monkeypatch.syspath_prepend(FRAMEWORKS)
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(FRAMEWORKS)):
            del sys.modules[name]


def named(html: str) -> list[str]:
    (text,) = re.findall('<script type="importmap"[^>]*>(.*?)</script>', html)
    return [*re.findall(r'(?:href|src)="(/assets/[^"]*)"', html), *json.loads(text)["imports"].values()]


@pytest.mark.parametrize("name", ["starlette_app", "fastapi_app", "jx_app"])
def test_everything_that_the_page_names_is_served_as_immutable(load_example: Any, name: str) -> None:
    with TestClient(load_example(name).app) as client:
        html = client.get("/").text
        urls = named(html)
        assert len(urls) >= 5
        for url in urls:
            answer = client.get(url)
            assert (answer.status_code, answer.headers["cache-control"]) == (
                200,
                "max-age=31536000, public, immutable",
            ), url
        sheet = client.get(next(url for url in urls if "/css/app-" in url)).text
        assert re.search(r'@import "card-[0-9a-f]{64}\.css"', sheet)


def test_the_starlette_page_allows_only_its_own_nonce(load_example: Any) -> None:
    with TestClient(load_example("starlette_app").app) as client:
        answer = client.get("/")
        (allowed,) = re.findall("'nonce-(.*?)'", answer.headers["content-security-policy"])
        assert set(re.findall('nonce="(.*?)"', answer.text)) == {allowed}
        assert answer.headers["link"].startswith("</assets/css/app-")
        assert client.get("/assets-version").text in answer.text


def test_the_plain_page_allows_the_hash_of_its_own_map(load_example: Any) -> None:
    html = load_example("plain").page()
    (text,) = re.findall('<script type="importmap">(.*?)</script>', html)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in html
