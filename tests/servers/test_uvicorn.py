"""uvicorn gets every option that was chosen, and none that it does not know."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import uvicorn

from assetstore.servers import FACTORY, GRACE_SECONDS, Listen, run_uvicorn


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of ``uvicorn.run``, by the names of its own signature."""
    given: dict[str, Any] = {}
    signature = inspect.signature(uvicorn.run)
    monkeypatch.setattr(uvicorn, "run", lambda *args, **named: given.update(signature.bind(*args, **named).arguments))
    return given


def test_the_place_is_the_one_that_was_chosen(said: dict[str, Any]) -> None:
    run_uvicorn(Listen("127.0.0.1", 8123, tls_cert="cert.pem", tls_key="key.pem"), workers=3, log=True)
    chosen = ("app", "factory", "host", "port", "uds", "ssl_certfile", "ssl_keyfile", "workers")
    assert [said[name] for name in chosen] == [FACTORY, True, "127.0.0.1", 8123, None, "cert.pem", "key.pem", 3]


@pytest.mark.parametrize(("log", "level"), [(True, "info"), (False, "warning")], ids=["with a log", "in silence"])
def test_requests_are_logged_where_that_is_wanted(said: dict[str, Any], log: bool, level: str) -> None:
    run_uvicorn(Listen(uds="/run/assets.sock"), workers=1, log=log)
    assert (said["access_log"], said["log_level"], said["uds"]) == (log, level, "/run/assets.sock")


def test_answers_under_way_have_a_time_to_end_and_no_server_is_named(said: dict[str, Any]) -> None:
    run_uvicorn(Listen(), workers=1, log=False)
    assert (said["timeout_graceful_shutdown"], said["server_header"]) == (GRACE_SECONDS, False)
