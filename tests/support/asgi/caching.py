"""Handlers with a response cache in front of them, and requests to that cache alone."""

from __future__ import annotations

from asgi.client import App, Message
from assetstore.http.cache import ResponseCache
from assetstore.http.handler import AssetHandler, with_response_cache
from assetstore.http.request import READ
from assetstore.http.response import Response
from assetstore.mounts.mount import Mount


def with_cache(mount: Mount, memory: ResponseCache) -> App:
    """The application of *mount* with *memory* in front of it."""
    return with_response_cache(memory, AssetHandler(mount, cache=memory))


def cached(memory: ResponseCache, scope: Message) -> Response | None:
    """The response of *memory* alone to one request; ``None`` where it has none."""
    relevant = tuple((name, value) for name, value in scope["headers"] if name in READ)
    return memory.respond(memory.key_of(scope), (scope["method"], relevant))
