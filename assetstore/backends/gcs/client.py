"""The google-cloud-storage client of one mount (options, credentials, pool, limits), and its errors in our tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import google.auth
import google.auth.exceptions as auth
import requests.exceptions as transport
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from assetstore.backends.http.headers import kind_of_status, make
from assetstore.backends.objects import BucketOptions, PooledClient
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
)

#: The nearest class above an exception decides; an exception with a status is judged by that first.
EXCEPTIONS: dict[type[BaseException], type[AssetStoreError]] = {
    auth.GoogleAuthError: BackendCredentials,
    auth.TransportError: BackendUnavailable,
    auth.TimeoutError: BackendTimeout,
    transport.RequestException: BackendUnavailable,
    transport.Timeout: BackendTimeout,
    transport.ChunkedEncodingError: BodyTruncated,
    transport.ContentDecodingError: BodyTruncated,
    DataCorruption: BodyTruncated,
    api.RetryError: BackendTimeout,
    TimeoutError: BackendTimeout,
    ConnectionError: BackendUnavailable,
    ValueError: SettingsError,
    TypeError: SettingsError,
}


def kind_of(error: BaseException) -> type[AssetStoreError]:
    """The class of our tree for an exception that the client raised."""
    status = _status(error)
    if status == 400:  # unlike S3, Google answers 401 to bad credentials: a 400 is a request that it cannot serve
        return BackendUnavailable
    if status == 404 and "bucket does not exist" in str(error):
        return BackendUnavailable
    if status:
        return kind_of_status(status)
    for each in type(error).__mro__:
        if each in EXCEPTIONS:
            return EXCEPTIONS[each]
    return BackendUnavailable


def translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one that the client raised; its own message is for the operator's log."""
    response = getattr(error, "response", None)
    headers = {name.lower(): value for name, value in getattr(response, "headers", {}).items()}
    kind = kind_of(error)
    if kind is AssetNotFound:
        return AssetNotFound(path, label)
    return make(kind, path, label, f"{type(error).__name__}: {error}", headers)


def _status(error: BaseException) -> int:
    if isinstance(error, api.GoogleAPICallError):
        return int(error.code or 0)
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return 0


_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


@dataclass(frozen=True, slots=True, kw_only=True)
class GCSOptions(BucketOptions):
    """The ``storage_options`` of a Google Cloud Storage mount. What is ``None`` comes from the environment."""

    SERVICE: ClassVar[str] = "Google Cloud Storage"
    ALIASES: ClassVar[Mapping[str, str]] = {"endpoint_url": "endpoint", "requester_pays": "user_project"}
    SCHEMES: ClassVar[tuple[str, ...]] = ("gs", "gcs")

    #: The Google Cloud project; only needed where credentials name none.
    project: str | None = None
    #: ``"anon"`` for a public bucket, the path of a service account's JSON file, its content as a mapping, or
    #: a ``google.auth.credentials.Credentials``. ``None``: Application Default Credentials.
    token: Any = field(default=None, repr=False)
    #: An emulator or another endpoint; else ``STORAGE_EMULATOR_HOST``, else Google's own.
    endpoint: str | None = None
    #: The project that is billed for requests to a requester-pays bucket.
    user_project: str | None = None
    #: How long one write may wait for the storage, which may take its time to finish a large object.
    write_timeout_seconds: float = 60.0

    def credentials(self) -> Credentials:
        """The credentials that these options name.

        Raises:
            SettingsError: there are none, or they cannot be read.
        """
        emulated = self.endpoint or os.environ.get("STORAGE_EMULATOR_HOST")
        try:
            if self.token == "anon" or (self.token is None and emulated):
                return AnonymousCredentials()  # type: ignore[no-untyped-call]
            if isinstance(self.token, Credentials):
                return self.token
            if isinstance(self.token, Mapping):
                return service_account.Credentials.from_service_account_info(dict(self.token), scopes=_SCOPES)  # type: ignore[no-untyped-call,no-any-return]
            if isinstance(self.token, str | os.PathLike):
                return service_account.Credentials.from_service_account_file(os.fspath(self.token), scopes=_SCOPES)  # type: ignore[no-untyped-call,no-any-return]
            if self.token is not None:
                raise SettingsError(
                    f"storage_options['token'] is of type {type(self.token).__name__}; give 'anon', the path of a "
                    "service account's JSON file, its content, or google.auth credentials"
                )
            found, _ = google.auth.default(scopes=_SCOPES)
            return found
        except DefaultCredentialsError as error:
            if self.token is not None:
                raise SettingsError(f"storage_options['token'] names no usable service account: {error}") from error
            raise SettingsError(
                "there are no Google credentials; set GOOGLE_APPLICATION_CREDENTIALS, run "
                "`gcloud auth application-default login`, or give storage_options={'token': 'anon'} for a public bucket"
            ) from error
        except (OSError, ValueError) as error:
            raise SettingsError(f"storage_options['token'] names no usable service account: {error}") from error


class GCSClient(PooledClient[Bucket]):
    """A bucket of google-cloud-storage.

    Args:
        bucket: the bucket's name.

    Raises:
        SettingsError: there are no credentials, or they cannot be read.
    """

    def __init__(self, bucket: str, options: GCSOptions) -> None:
        super().__init__()
        self.options = options
        self._bucket = bucket
        self._credentials = options.credentials()

    @property
    def read_timeout(self) -> tuple[float, float]:
        """Seconds to connect, and between two arrivals of bytes."""
        return self.options.connect_timeout_seconds, self.options.read_timeout_seconds

    @property
    def write_timeout(self) -> tuple[float, float]:
        """The same for writing."""
        return self.options.connect_timeout_seconds, self.options.write_timeout_seconds

    def _make(self) -> Bucket:
        options = self.options
        # AuthorizedSession lets requests pool ten connections only.
        session = AuthorizedSession(self._credentials)  # type: ignore[no-untyped-call]
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=options.max_connections, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        endpoint = {"api_endpoint": options.endpoint} if options.endpoint else None
        client = Client(project=options.project, credentials=self._credentials, client_options=endpoint, _http=session)
        return client.bucket(self._bucket, user_project=options.user_project)

    def _end(self, made: Bucket) -> None:
        made.client.close()
