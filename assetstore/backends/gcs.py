"""A Google Cloud Storage bucket, over Google's own google-cloud-storage.

The generation of an object is its validator: a number that no two versions of an object share
(Cloud Storage, "Object versioning" and "Request preconditions").
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import google.auth
import google.auth.exceptions as auth
import requests.exceptions as transport
import urllib3.exceptions as urllib3
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials, Signing
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from assetstore.backends.base import WHOLE, FileStat, OpenFile, PresignedUrl, Span, WriteOptions
from assetstore.backends.http import kind_of_status, make
from assetstore.backends.objects import (
    PIECE_BYTES,
    BucketOptions,
    ObjectBackend,
    PieceBody,
    PooledClient,
    SourceReader,
    split_url,
    stat_of_object,
    stored_metadata,
)
from assetstore.backends.ranged import Download, SyncRangedFile
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    VersionChanged,
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
    urllib3.ProtocolError: BodyTruncated,  # of a body that is read undecoded
    urllib3.ReadTimeoutError: BackendTimeout,
    urllib3.HTTPError: BackendUnavailable,
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
        self.credentials = options.credentials()

    @property
    def read_timeout(self) -> tuple[float, float]:
        """Seconds to connect, and between two arrivals of bytes."""
        return self.options.connect_timeout_seconds, self.options.read_timeout_seconds

    @property
    def write_timeout(self) -> tuple[float, float]:
        """The same for writing."""
        return self.options.connect_timeout_seconds, self.options.write_timeout_seconds

    def signer(self) -> dict[str, Any]:
        """What makes a signature where the credentials have no key of their own: IAM, for an attached service account.

        May send a request for a token.
        """
        credentials: Any = self.credentials
        if isinstance(credentials, Signing):
            return {}
        if not credentials.valid:
            credentials.refresh(Request())
        return {"service_account_email": credentials.service_account_email, "access_token": credentials.token}

    def _make(self) -> Bucket:
        options = self.options
        # AuthorizedSession lets requests pool ten connections only.
        session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=options.max_connections, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        endpoint = {"api_endpoint": options.endpoint} if options.endpoint else None
        client = Client(project=options.project, credentials=self.credentials, client_options=endpoint, _http=session)
        return client.bucket(self._bucket, user_project=options.user_project)

    def _end(self, made: Bucket) -> None:
        made.client.close()


#: How often an object is opened that is replaced at that very moment.
OPEN_ATTEMPTS = 3
#: The only fields of a listing that are used: the answer is a third as long.
_LISTED = "items(name,size,updated,generation,contentEncoding,metadata),nextPageToken"


class GCSBackend(ObjectBackend[Bucket]):
    """The objects beneath a prefix of a bucket; writable.

    ``updated`` is the modified time, in microseconds; the generation is the validator. Conditions are
    ``ifGenerationMatch``.
    """

    SCHEME = "gs"
    client: GCSClient

    def __init__(self, bucket: str, prefix: str = "", options: GCSOptions | None = None) -> None:
        options = options or GCSOptions()
        super().__init__(bucket, prefix, options, GCSClient(bucket, options))

    def stat(self, path: str) -> FileStat:
        return _stat_of(path, self._blob(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        for _ in range(OPEN_ATTEMPTS - 1 if validator is None else 0):
            with suppress(VersionChanged):
                return self._open(path, span, validator)
        return self._open(path, span, validator)

    def _open(self, path: str, span: Span, validator: str | None) -> OpenFile:
        """Two requests, since the response with the bytes has no user metadata.

        Raises:
            VersionChanged: the object was replaced between the two, or is not the version *validator*.
        """
        stat = _stat_of(path, self._blob(path, validator))
        start, stop = span.within(stat.size)
        first = self._read(stat, start, min(stop, start + PIECE_BYTES)) if start < stop else b""

        def fetch(path: str, wanted: Span, validator: str | None) -> Download:
            part = wanted.within(stat.size)
            read = PieceBody(part, lambda start, stop: self._read(stat, start, stop), first if wanted is span else b"")
            return Download(stat, part, read)

        return SyncRangedFile.open(fetch, path, span, stat.validator)

    def walk(self) -> Iterator[FileStat]:
        for page in self._pages(""):
            for blob in page:
                if (path := self.path_of(blob.name)) is not None:
                    yield _stat_of(path, blob)

    def _write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self.key(path)
        generation = 0 if options.create_only else _generation(options.if_validator)
        if options.if_validator is not None and generation is None:
            raise PublishConflict(f"{options.if_validator!r} is no generation")
        headers = self.stored_headers(options)

        def upload(bucket: Bucket) -> Blob:
            blob = bucket.blob(key)
            blob.cache_control = options.cache_control
            blob.content_encoding = options.content_encoding
            blob.metadata = stored_metadata(options)
            for name, value in headers.items():
                setattr(blob, name, value)
            try:
                blob.upload_from_file(
                    SourceReader(path, source, options.sha256),
                    size=source.stat.size,
                    content_type=options.content_type,
                    if_generation_match=generation,
                    timeout=self.client.write_timeout,
                    retry=None,
                )
            except ValueError as error:  # a 308 says that less has arrived than was sent: begin again
                raise BackendUnavailable(
                    f"{self.label}: the upload of {path!r} broke off: {error}", path=path
                ) from error
            return blob

        return _stat_of(path, self.call(path, upload))

    def require_signing(self) -> None:
        """As :meth:`Presigns.require_signing`: a service account's key signs, or IAM does for an attached account."""
        credentials = self.client.credentials
        if not isinstance(credentials, Signing) and not getattr(credentials, "service_account_email", None):
            raise SettingsError(
                f"no URL of {self.label} can be signed with {type(credentials).__name__}; give storage_options={{'token': "
                "…}} a service account's JSON file, or run as a service account that may sign (iam.serviceAccounts.signBlob)"
            )

    def presigned_url(
        self, path: str, *, content_type: str, cache_control: str, seconds: int, validator: str | None = None
    ) -> PresignedUrl:
        """As :meth:`Presigns.presigned_url`; the generation is part of the URL."""
        key, until = self.key(path), time.time() + seconds
        query = {"response-cache-control": cache_control}
        if self.client.options.user_project:
            query["userProject"] = self.client.options.user_project

        def sign(bucket: Bucket) -> str:
            url: str = bucket.blob(key).generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=seconds),
                response_type=content_type,
                generation=_generation(validator),
                query_parameters=query,
                **self.client.signer(),
            )
            return url

        return PresignedUrl(self.call(path, sign), until)

    def _delete(self, client: Bucket, key: str) -> None:
        client.blob(key).delete(timeout=self.client.write_timeout, retry=None)

    def _blob(self, path: str, validator: str | None = None) -> Blob:
        key = self.key(path)
        generation = _generation(validator)
        if validator is not None and generation is None:
            raise VersionChanged(f"{path!r} has no version {validator!r}", path=path)
        blob = self.call(
            path,
            lambda bucket: bucket.get_blob(
                key, if_generation_match=generation, timeout=self.client.read_timeout, retry=None
            ),
        )
        if blob is None:
            # The same answer as for a missing bucket, which a listing tells from an empty one.
            next(self._pages(path, max_results=1), None)
            raise AssetNotFound(path, self.label)
        if generation not in {None, blob.generation}:  # a server that does not know the condition
            raise VersionChanged(f"{path!r} is no longer the version {validator!r}", path=path)
        return blob

    def _pages(self, path: str, **options: Any) -> Iterator[Iterable[Blob]]:
        """The pages of a listing.

        Raises:
            BackendUnavailable: there is no such bucket.
        """
        token: str | None = None

        def page_at(bucket: Bucket) -> tuple[list[Blob], str | None]:
            found = bucket.client.list_blobs(
                bucket,
                prefix=self.prefix,
                fields=_LISTED,
                page_token=token,
                timeout=self.client.read_timeout,
                retry=None,
                **options,
            )
            return list(next(found.pages, ())), found.next_page_token

        try:
            while True:
                page, token = self.call(path, page_at)
                yield page
                if not token or options:
                    return
        except AssetNotFound as error:
            raise BackendUnavailable(f"{self.label}: there is no such bucket", path=path) from error

    def _read(self, stat: FileStat, start: int, stop: int) -> bytes:
        """The bytes ``start`` to ``stop`` of the version that *stat* describes."""
        key = self.key(stat.path)
        try:
            content: bytes = self.call(
                stat.path,
                lambda bucket: bucket.blob(key, generation=_generation(stat.validator)).download_as_bytes(
                    start=start,
                    end=stop - 1,
                    raw_download=True,  # else an object that is stored as gzip arrives decoded
                    checksum=None,
                    timeout=self.client.read_timeout,
                    retry=None,
                ),
            )
        except AssetNotFound as error:  # what a replaced generation is answered with
            raise VersionChanged(f"{stat.path!r} was replaced while it was read", path=stat.path) from error
        return content

    def _translate(self, error: Exception, path: str) -> AssetStoreError:
        return translate(error, path, self.label)


def _stat_of(path: str, blob: Blob) -> FileStat:
    return stat_of_object(
        path,
        size=int(blob.size or 0),
        modified=blob.updated,
        validator=str(blob.generation) if blob.generation else None,
        coding=blob.content_encoding,
        metadata=blob.metadata or {},
    )


def _generation(validator: str | None) -> int | None:
    return int(validator) if validator is not None and validator.isdecimal() else None


def open_url(url: str, storage_options: Mapping[str, Any]) -> GCSBackend:
    """The backend of a ``gs://bucket/prefix`` URL.

    Raises:
        SettingsError: it names no bucket, an option is unknown or impossible, or there are no credentials.
    """
    bucket, prefix = split_url(url, "gs://bucket or gs://bucket/prefix")
    return GCSBackend(bucket, prefix, GCSOptions.of(storage_options))
