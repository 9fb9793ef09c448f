"""WhiteNoise as it is measured: a WSGI application, scanning at start-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from whitenoise import WhiteNoise

from benchmarks.apps import TREE


def _nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


app = WhiteNoise(_nothing, root=TREE, prefix="/assets/")
