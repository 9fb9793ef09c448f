"""Handlers with a response cache in front of them, and requests to that cache alone."""

from __future__ import annotations

from asgi.client import App, Message
from assetstore.http.cache import Memory
from assetstore.http.handler import AssetHandler
from assetstore.http.middleware import from_memory
from assetstore.http.request import READ
from assetstore.http.response import Ready
from assetstore.mounts.mount import Mount


def remembering(mount: Mount, memory: Memory) -> App:
    """What answers for *mount* when *memory* is asked first."""
    return from_memory(memory, AssetHandler(mount, memory=memory))


def recalled(memory: Memory, scope: Message) -> Ready | None:
    """What *memory* alone answers to one request."""
    asked = tuple((name, value) for name, value in scope["headers"] if name in READ)
    return memory.recall(memory.key_of(scope), (scope["method"], asked), scope.get("extensions") or ())
