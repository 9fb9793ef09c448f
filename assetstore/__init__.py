"""Static assets for ASGI applications: local disk, a bucket, a CDN; one API."""

from assetstore.errors import AssetStoreError
from assetstore.store import AssetStore

__all__ = ["AssetStore", "AssetStoreError"]

__version__ = "0.1.0"
