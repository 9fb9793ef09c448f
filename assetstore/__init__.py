"""Static assets for ASGI applications: local disk, a bucket, a CDN; one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assetstore.backends.base import Backend, FileStat, WritableBackend
    from assetstore.backends.remote import CacheSettings, RemoteLimits
    from assetstore.errors import AssetStoreError
    from assetstore.http.routes import MountApplication
    from assetstore.monitoring import Health
    from assetstore.mounts.build import MountOptions
    from assetstore.mounts.mount import Mount, MountTable
    from assetstore.names.fingerprint import Fingerprinter
    from assetstore.names.listing import Index
    from assetstore.names.manifest import Manifest
    from assetstore.publish import Published
    from assetstore.settings import Settings, SettingValues
    from assetstore.store import AssetStore
    from assetstore.templates.importmap import ResolvedImportMap
    from assetstore.templates.page import Page, Pages

__all__ = [
    "AssetStore",
    "AssetStoreError",
    "Backend",
    "CacheSettings",
    "FileStat",
    "Fingerprinter",
    "Health",
    "Index",
    "Manifest",
    "Mount",
    "MountApplication",
    "MountOptions",
    "MountTable",
    "Page",
    "Pages",
    "Published",
    "RemoteLimits",
    "ResolvedImportMap",
    "SettingValues",
    "Settings",
    "WritableBackend",
]

__version__ = "0.1.0"

#: Where each name is; it is imported where it is used first.
_MODULES = {
    "AssetStore": "assetstore.store",
    "AssetStoreError": "assetstore.errors",
    "Backend": "assetstore.backends.base",
    "CacheSettings": "assetstore.backends.remote",
    "FileStat": "assetstore.backends.base",
    "Fingerprinter": "assetstore.names.fingerprint",
    "Health": "assetstore.monitoring",
    "Index": "assetstore.names.listing",
    "Manifest": "assetstore.names.manifest",
    "Mount": "assetstore.mounts.mount",
    "MountApplication": "assetstore.http.routes",
    "MountOptions": "assetstore.mounts.build",
    "MountTable": "assetstore.mounts.mount",
    "Page": "assetstore.templates.page",
    "Pages": "assetstore.templates.page",
    "Published": "assetstore.publish",
    "RemoteLimits": "assetstore.backends.remote",
    "ResolvedImportMap": "assetstore.templates.importmap",
    "SettingValues": "assetstore.settings",
    "Settings": "assetstore.settings",
    "WritableBackend": "assetstore.backends.base",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
