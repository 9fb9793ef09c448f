"""What is particular to an HTTP origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from assetstore.backends.base import read_bytes
from assetstore.backends.http import HttpBackend, open_url
from assetstore.errors import (
    AssetNotFound,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
)
from servers.fault_proxy import FaultProxy
from servers.faults import BROKEN, FORBIDDEN, NOT_FOUND, REFUSE, SLOW_DOWN, Delay, Fault, Stall, Truncate
from storages import cdn


@pytest.fixture
def behind(
    request: pytest.FixtureRequest, fault_proxy: Callable[[str], FaultProxy]
) -> Iterator[tuple[HttpBackend, FaultProxy]]:
    with cdn({"a b.css": b"body" * 1000}, request) as storage:
        proxy = fault_proxy(storage.backend.label.removesuffix("/pre"))
        backend = HttpBackend(f"{proxy.url}/pre", headers={"X-Key": "k"}, read_timeout_seconds=0.5)
        yield backend, proxy
        backend.close()


def test_its_own_urls_can_be_handed_out() -> None:
    assert HttpBackend("https://cdn.example.com/static").url("a b/\u2603#.css") == (
        "https://cdn.example.com/static/a%20b/%E2%98%83%23.css"
    )


def test_a_stat_is_one_head_and_a_read_one_get_on_one_connection(behind: tuple[HttpBackend, FaultProxy]) -> None:
    backend, proxy = behind
    assert backend.stat("a b.css").size == 4000
    assert read_bytes(backend, "a b.css") == b"body" * 1000
    assert [(each.method, each.path, each.headers["X-Key"]) for each in proxy.requests] == [
        ("HEAD", "/pre/a%20b.css", "k"),
        ("GET", "/pre/a%20b.css", "k"),
    ]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NOT_FOUND, AssetNotFound),
        (FORBIDDEN, BackendForbidden),
        (BROKEN, BackendUnavailable),
        (SLOW_DOWN, BackendThrottled),
        (REFUSE, BackendUnavailable),
        (Delay(2), BackendTimeout),
        (Truncate(100), BodyTruncated),
        (Stall(100), BackendTimeout),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else value.__name__,
)
def test_each_fault_is_its_own(behind: tuple[HttpBackend, FaultProxy], fault: Fault, kind: type[Exception]) -> None:
    backend, proxy = behind
    proxy.use(fault)
    with pytest.raises(kind) as caught:
        read_bytes(backend, "a b.css")
    assert type(caught.value) is kind
    proxy.heal()
    assert read_bytes(backend, "a b.css") == b"body" * 1000


def test_an_idle_connection_that_the_server_closed_is_no_fault(behind: tuple[HttpBackend, FaultProxy]) -> None:
    backend, proxy = behind
    backend.stat("a b.css")
    proxy.cut()
    assert backend.stat("a b.css").size == 4000


@pytest.mark.parametrize("url", ["https://", "https:///x", "https://cdn.example.com/?a=b", "https://user:word@host/"])
def test_a_root_that_is_no_origin_is_told_at_wiring(url: str) -> None:
    with pytest.raises(SettingsError):
        HttpBackend(url)


def test_an_unknown_option_is_told_at_wiring() -> None:
    with pytest.raises(SettingsError, match="know no 'colour'"):
        open_url("https://cdn.example.com/", {"colour": "red"})
