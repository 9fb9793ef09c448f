"""Static assets for ASGI applications: local disk, a bucket, a CDN; one API."""

from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.errors import AssetStoreError
from assetstore.names.listing import Index
from assetstore.store import AssetStore

__all__ = ["AssetStore", "AssetStoreError", "CacheSettings", "Index", "RemoteLimits"]

__version__ = "0.1.0"
