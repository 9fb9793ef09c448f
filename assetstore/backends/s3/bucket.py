"""Requests to one bucket: by boto3, or without it for small objects; retried, and their faults translated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from io import BufferedReader
from typing import TYPE_CHECKING, TypeVar

from assetstore.backends.objects import ObjectBackend
from assetstore.backends.s3.client import Client, S3Options
from assetstore.backends.s3.direct import EMPTY_SHA256, FAULTS, DirectRequests, DirectResponse
from assetstore.backends.s3.errors import is_unsupported, translate, translate_response
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendUnavailable,
)
from assetstore.util import backoff_seconds

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


class S3Bucket(ObjectBackend["S3Client"]):
    """A bucket's client and names; the verbs of a backend are in :class:`assetstore.backends.s3.backend.S3Backend`."""

    SCHEME = "s3"
    STORED_HEADERS = {"content-disposition": "ContentDisposition", "content-language": "ContentLanguage"}
    client: Client

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        options = options or S3Options()
        super().__init__(bucket, prefix, options, Client(options))
        self.conditional_creates = self.conditional_replaces = None
        self.checksums: bool | None = None
        self._direct = DirectRequests(self.client, bucket)

    @property
    def options(self) -> S3Options:
        return self.client.options

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Callable[[], bytes | BufferedReader] = bytes,
        sha256: str = EMPTY_SHA256,
    ) -> DirectResponse | None:
        """As :meth:`DirectRequests.send`, tried again after a fault; ``None`` where boto3 has to send.

        *body* gives the body for each attempt anew.

        Raises:
            AssetStoreError: the response was not 200, or there was none.
        """
        attempts = self.options.attempts
        for attempt in range(1, attempts + 1):
            try:
                response = self._direct.send(method, self.prefix + path, headers, body(), sha256)
                if response is None or response.status == 200:
                    return response
                error = translate_response(response.status, response.headers, response.body, path, self.label)
            except FAULTS as fault:
                error = BackendUnavailable(f"{self.label} failed on {path!r}: {fault}", path=path)
                error.__cause__ = fault
            except AssetStoreError:
                raise
            except Exception as fault:
                raise translate(fault, path, self.label) from fault
            if isinstance(error, BackendForbidden) and method == "HEAD" and self.options.forbidden_is_missing:
                raise AssetNotFound(path, self.label)
            if isinstance(error, BackendCredentials):
                return None  # boto3 looks credentials up again, and the next request here has them
            again = isinstance(error, BackendUnavailable) and not isinstance(error, BackendThrottled)
            if not again or attempt == attempts or is_unsupported(error, "if-match", "if-none-match", "checksum"):
                raise error
            time.sleep(backoff_seconds(attempt, 0.4, 20.0, least=0.5))
        return None

    def call(self, path: str, operation: Callable[[S3Client], T]) -> T:
        """What *operation* returns; its faults become ours. Refused credentials are renewed once."""
        used = self.client.get()
        try:
            return self._try(path, operation)
        except BackendCredentials:
            if not self.client.renew(used):
                raise
            return self._try(path, operation)

    def _try(self, path: str, operation: Callable[[S3Client], T]) -> T:
        try:
            return operation(self.client.get())
        except AssetStoreError:
            raise
        except Exception as error:
            ours = translate(error, path, self.label)
            if isinstance(ours, BackendForbidden) and self.options.forbidden_is_missing and path:
                ours = AssetNotFound(path, self.label)
            raise ours from error
