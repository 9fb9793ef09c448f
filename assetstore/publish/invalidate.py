"""Invalidate plain names on a CDN through its own API, so that they are fresh within seconds after a release.

Fingerprinted names never change, so they stay in the cache. ``cloudfront:DISTRIBUTION`` takes its credentials
from the usual AWS environment, ``cloudflare:ZONE`` a token from ``CLOUDFLARE_API_TOKEN``, ``fastly:SERVICE``
one from ``FASTLY_API_TOKEN``, and ``bunny:PULLZONE`` a key from ``BUNNY_API_KEY``.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from assetstore.assets import paths
from assetstore.errors import BackendUnavailable, SettingsError
from assetstore.names.manifest import Manifest

#: Where the APIs are.
APIS = {
    "cloudflare": "https://api.cloudflare.com/client/v4",
    "fastly": "https://api.fastly.com",
    "bunny": "https://api.bunny.net",
}
#: The environment variable with the secret of each.
SECRETS = {"cloudflare": "CLOUDFLARE_API_TOKEN", "fastly": "FASTLY_API_TOKEN", "bunny": "BUNNY_API_KEY"}
#: More names than this are invalidated as a whole: by prefix at CloudFront, the whole zone elsewhere.
MAX_NAMES = 500
#: URLs in one request to Cloudflare, of which every plan takes so many.
CLOUDFLARE_URLS = 30
TIMEOUT_SECONDS = 30.0


def changed_names(before: Manifest | None, after: Manifest) -> list[str]:
    """The plain names whose bytes or presence differ between two live releases, encoded siblings included."""

    def plain(manifest: Manifest | None) -> dict[str, str]:
        if manifest is None:
            return {}
        return {
            each.path: each.sha256
            for entry in manifest.entries.values()
            for each in entry.stored
            if not entry.immutable(each)
        }

    old, new = plain(before), plain(after)
    return sorted(path for path in {*old, *new} if old.get(path) != new.get(path))


@dataclass(frozen=True, slots=True)
class Invalidation:
    """One ``--invalidate`` option: which CDN, and which distribution, zone, service or pull zone of it."""

    kind: str
    id: str

    @classmethod
    def parse(cls, spelled: str) -> Invalidation:
        """Read ``cloudfront:E2EXAMPLE``.

        Raises:
            SettingsError: it is none, or the secret of that CDN is not in the environment.
        """
        kind, _, id_ = spelled.partition(":")
        if kind not in _SENDERS or not id_ or not id_.replace("-", "").replace("_", "").isalnum():
            raise SettingsError(
                f"--invalidate={spelled!r} names no CDN; give cloudfront:DISTRIBUTION, cloudflare:ZONE, "
                "fastly:SERVICE or bunny:PULLZONE"
            )
        if kind in SECRETS and not os.environ.get(SECRETS[kind]):
            raise SettingsError(f"--invalidate={spelled!r} needs a secret in the environment variable {SECRETS[kind]}")
        return cls(kind, id_)

    def send(self, base: str, names: Iterable[str]) -> int:
        """Invalidate *names* below the URL *base*, and return how many; more than 500 as a whole.

        Raises:
            SettingsError: *base* is no full URL, which this CDN needs.
            BackendUnavailable: the CDN's API refused, or does not answer; what it said is in the message.
        """
        wanted = sorted(names)
        if not wanted:
            return 0
        if self.kind != "cloudfront" and not urlsplit(base).netloc:
            raise SettingsError(f"{self.kind} invalidates full URLs, and {base!r} is none; give --url https://…")
        _SENDERS[self.kind](self.id, base if base.endswith("/") else f"{base}/", wanted)
        return len(wanted)


def _cloudfront(distribution: str, base: str, names: Sequence[str]) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    prefix = urlsplit(base).path or "/"
    # CloudFront compares percent-encoded paths, and a trailing * with everything below.
    items = [prefix + paths.to_url(name) for name in names] if len(names) <= MAX_NAMES else [f"{prefix}*"]
    batch = {"Paths": {"Quantity": len(items), "Items": items}, "CallerReference": f"assetstore-{secrets.token_hex(8)}"}
    try:
        client = boto3.client("cloudfront")
        client.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)
    except (BotoCoreError, ClientError) as error:
        raise BackendUnavailable(
            f"CloudFront did not invalidate {len(names)} names of {distribution}: {error}"
        ) from error


def _cloudflare(zone: str, base: str, names: Sequence[str]) -> None:
    url = f"{APIS['cloudflare']}/zones/{zone}/purge_cache"
    headers = {"Authorization": f"Bearer {os.environ[SECRETS['cloudflare']]}"}
    if len(names) > MAX_NAMES:
        _request("cloudflare", "POST", url, headers, {"purge_everything": True})
        return
    urls = [base + paths.to_url(name) for name in names]
    for start in range(0, len(urls), CLOUDFLARE_URLS):
        _request("cloudflare", "POST", url, headers, {"files": urls[start : start + CLOUDFLARE_URLS]})


def _fastly(service: str, base: str, names: Sequence[str]) -> None:
    headers = {"Fastly-Key": os.environ[SECRETS["fastly"]], "Accept": "application/json"}
    if len(names) > MAX_NAMES:
        _request("fastly", "POST", f"{APIS['fastly']}/service/{service}/purge_all", headers)
        return
    parts = urlsplit(base)
    for name in names:
        _request("fastly", "POST", f"{APIS['fastly']}/purge/{parts.netloc}{parts.path}{paths.to_url(name)}", headers)


def _bunny(zone: str, base: str, names: Sequence[str]) -> None:
    headers = {"AccessKey": os.environ[SECRETS["bunny"]]}
    if len(names) > MAX_NAMES:
        _request("bunny", "POST", f"{APIS['bunny']}/pullzone/{zone}/purgeCache", headers)
        return
    for name in names:
        url = quote(base + paths.to_url(name), safe="")
        _request("bunny", "POST", f"{APIS['bunny']}/purge?url={url}&async=false", headers)


_SENDERS: Mapping[str, Callable[[str, str, Sequence[str]], None]] = {
    "cloudfront": _cloudfront,
    "cloudflare": _cloudflare,
    "fastly": _fastly,
    "bunny": _bunny,
}


def _request(kind: str, method: str, url: str, headers: Mapping[str, str], body: object = None) -> None:
    import urllib3

    # Throttled and broken responses are tried again, after Retry-After where it is given.
    retries = urllib3.Retry(
        total=4,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
    )
    given = {**headers, "User-Agent": "assetstore"}
    data = b""
    if body is not None:
        given["Content-Type"], data = "application/json", json.dumps(body).encode()
    try:
        with urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=retries) as pool:
            response = pool.request(method, url, headers=given, body=data)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BackendUnavailable(f"{kind} does not answer: {error}") from error
    if not 200 <= response.status < 300:
        said = response.data[:300].decode(errors="replace")
        raise BackendUnavailable(f"{kind} did not invalidate: status {response.status} {said}")
