"""Static assets for ASGI applications: local disk, a bucket, a CDN; one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assetstore.backends.remote import CacheSettings, RemoteLimits
    from assetstore.errors import AssetStoreError
    from assetstore.names.listing import Index
    from assetstore.store import AssetStore

__all__ = ["AssetStore", "AssetStoreError", "CacheSettings", "Index", "RemoteLimits"]

__version__ = "0.1.0"

#: Where each name is; it is imported where it is used first.
_MODULES = {
    "AssetStore": "assetstore.store",
    "AssetStoreError": "assetstore.errors",
    "CacheSettings": "assetstore.backends.remote",
    "Index": "assetstore.names.listing",
    "RemoteLimits": "assetstore.backends.remote",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
