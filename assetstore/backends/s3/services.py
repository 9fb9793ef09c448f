"""What S3-compatible services need that differs from AWS: endpoint, signing region, addressing style.

Whether a service has conditional writes and checksums is found out by the first write, not listed
here: most have gained them, release by release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class S3Service:
    """One service; *endpoint* has ``{account}`` or ``{region}`` where the user's own stands."""

    #: ``None`` where every installation has its own.
    endpoint: str | None
    #: The region that requests are signed for; ``None`` for the one in the endpoint, or the user's.
    region: str | None
    addressing_style: str
    #: Recognizes an endpoint's host; the group, if any, is the region.
    host: str = r"(?!)"


SERVICES = {
    "aws": S3Service(None, None, "auto", r"s3[.-]([a-z]{2}-[a-z-]+-\d+)\.amazonaws\.com"),
    "r2": S3Service(
        "https://{account}.r2.cloudflarestorage.com", "auto", "path", r"\w+(?:\.\w+)?\.r2\.cloudflarestorage\.com"
    ),
    "b2": S3Service("https://s3.{region}.backblazeb2.com", None, "path", r"s3\.([a-z0-9-]+)\.backblazeb2\.com"),
    "wasabi": S3Service("https://s3.{region}.wasabisys.com", None, "path", r"s3\.([a-z0-9-]+)\.wasabisys\.com"),
    "digitalocean": S3Service(
        "https://{region}.digitaloceanspaces.com", None, "virtual", r"([a-z0-9-]+)\.digitaloceanspaces\.com"
    ),
    "tigris": S3Service(
        "https://t3.storage.dev",
        "auto",
        "virtual",
        r"(?:fly\.storage\.tigris\.dev|t3\.storage\.dev|t3\.tigrisfiles\.io)",
    ),
    "minio": S3Service(None, None, "path"),
    "ceph": S3Service(None, None, "path"),
}


def recognized(endpoint_url: str) -> tuple[S3Service, str | None] | None:
    """The service behind *endpoint_url* and the region in it; ``None`` for a host of somebody's own."""
    host = urlsplit(endpoint_url).hostname or ""
    for service in SERVICES.values():
        if match := re.fullmatch(service.host, host):
            return service, match[1] if match.groups() else service.region
    return None
