"""Static assets for ASGI applications: local disk, a bucket, a CDN; one API."""

__version__ = "0.1.0"
