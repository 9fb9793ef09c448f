"""The end of a session: a WSGI filter that refuses security tokens past their time.

A token is spelled ``until-<seconds since the epoch>``. It runs inside Swift's own process and
environment, so it imports the standard library alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

EXPIRED = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[WsgiApp], WsgiApp]:
    """The filter, as Paste Deployment asks for it."""
    return Sessions


class Sessions:
    """Passes on what bears no token or a current one."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN") or query.get("X-Amz-Security-Token", [""])[0]
        if token and time.time() > float(token.removeprefix("until-")):
            headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(EXPIRED)))]
            start_response("400 Bad Request", headers)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [EXPIRED]
        return self._app(environ, start_response)
