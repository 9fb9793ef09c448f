"""An Azure Blob Storage container, over Microsoft's own azure-storage-blob.

The ETag of a blob is its validator (Blob service REST API, "Specifying conditional headers").
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import azure.core.exceptions as azure
from azure.core import MatchConditions
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import (
    BlobProperties,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
    UserDelegationKey,
    generate_blob_sas,
)
from requests import Session
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
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    SettingsError,
    VersionChanged,
)

#: By error code, where the status alone would be judged wrongly (Blob service REST API, "Status and error codes").
CODES: dict[str, type[AssetStoreError]] = {
    "ContainerNotFound": BackendUnavailable,
    "ContainerBeingDeleted": BackendUnavailable,
    "ContainerDisabled": BackendUnavailable,
    "AccountIsDisabled": BackendForbidden,
    "AuthenticationFailed": BackendCredentials,  # a 403
    "InvalidAuthenticationInfo": BackendCredentials,
    "NoAuthenticationInformation": BackendCredentials,
    "ServerBusy": BackendThrottled,
    "OperationTimedOut": BackendTimeout,
    "InternalError": BackendUnavailable,
    "Md5Mismatch": BodyTruncated,
    "InvalidResourceName": BackendUnavailable,
    "InvalidMetadata": BackendUnavailable,
    "InvalidInput": BackendUnavailable,
    "InvalidHeaderValue": BackendUnavailable,
}

#: The nearest class above an exception decides; an answer with a status is judged by code and status first.
EXCEPTIONS: dict[type[BaseException], type[AssetStoreError]] = {
    azure.AzureError: BackendUnavailable,
    azure.ServiceRequestTimeoutError: BackendTimeout,
    azure.ServiceResponseTimeoutError: BackendTimeout,
    azure.IncompleteReadError: BodyTruncated,
    azure.DecodeError: BodyTruncated,
    azure.ClientAuthenticationError: BackendCredentials,
    TimeoutError: BackendTimeout,
    ConnectionError: BackendUnavailable,
    ValueError: SettingsError,
    TypeError: SettingsError,
}


def kind_of(error: BaseException) -> type[AssetStoreError]:
    """The class of our tree for an exception that the client raised."""
    if isinstance(error, azure.HttpResponseError) and error.status_code:
        code = _code(error)
        if code in CODES:
            return CODES[code]
        return BackendUnavailable if error.status_code == 400 else kind_of_status(error.status_code)
    for each in type(error).__mro__:
        if each in EXCEPTIONS:
            return EXCEPTIONS[each]
    return BackendUnavailable


def translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one that the client raised; its own message is for the operator's log."""
    response = getattr(error, "response", None)
    headers = {name.lower(): value for name, value in getattr(response, "headers", {}).items()}
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if isinstance(error, azure.HttpResponseError) and (code := _code(error)):
        said = f"{error.status_code} {code}"
    return make(kind_of(error), path, label, said, headers)


def _code(error: azure.HttpResponseError) -> str:
    """The service's own code: of the body, or of the header where an answer to HEAD has no body."""
    code = getattr(error, "error_code", None)
    if code is None:
        code = getattr(error.response, "headers", {}).get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureOptions(BucketOptions):
    """The ``storage_options`` of an Azure mount. What is ``None`` comes from the environment."""

    SERVICE: ClassVar[str] = "Azure Blob Storage"
    ALIASES: ClassVar[Mapping[str, str]] = {"account_host": "account_url"}
    SCHEMES: ClassVar[tuple[str, ...]] = ("az", "abfs", "abfss")

    #: A connection string; else ``AZURE_STORAGE_CONNECTION_STRING``.
    connection_string: str | None = field(default=None, repr=False)
    #: The storage account; else ``AZURE_STORAGE_ACCOUNT_NAME``, else ``AZURE_STORAGE_ACCOUNT``.
    account_name: str | None = None
    #: The blob service's URL, for an emulator or a private endpoint; else that of *account_name*.
    account_url: str | None = None
    #: One of the account's keys; else ``AZURE_STORAGE_ACCOUNT_KEY``, else ``AZURE_STORAGE_KEY``.
    account_key: str | None = field(default=None, repr=False)
    #: A shared access signature; else ``AZURE_STORAGE_SAS_TOKEN``.
    sas_token: str | None = field(default=None, repr=False)
    #: A credential of ``azure.identity`` or ``azure.core``. With none at all: ``DefaultAzureCredential``.
    credential: Any = field(default=None, repr=False)
    #: Send no credentials: a container with anonymous read access.
    anon: bool = False
    #: How long one write may wait for the storage.
    write_timeout_seconds: float = 60.0


#: How long a key lasts with which an identity signs, in seconds; Azure gives at most seven days.
DELEGATED_SECONDS = 12 * 3600


class AzureClient(PooledClient[ContainerClient]):
    """A container of azure-storage-blob.

    Args:
        container: the container's name.

    Raises:
        SettingsError: the options and the environment name no account, or credentials that cannot be used.
    """

    def __init__(self, container: str, options: AzureOptions) -> None:
        super().__init__()
        self.options = options
        self._container = container
        self._delegated: tuple[float, UserDelegationKey] | None = None
        self.get()

    @property
    def account_key(self) -> str | None:
        """The account's key, where that is what the options name."""
        return getattr(self.get().credential, "account_key", None)

    def signing_key(self, until: float) -> dict[str, Any]:
        """The key for signatures that are good *until*, in seconds since the epoch, as an argument.

        An identity is given one by Azure, for :data:`DELEGATED_SECONDS`: then a request is sent.
        """
        if (key := self.account_key) is not None:
            return {"account_key": key}
        if self._delegated is None or self._delegated[0] < until:
            now = time.time()
            start, end = (datetime.fromtimestamp(moment, UTC) for moment in (now - 900, now + DELEGATED_SECONDS))
            self._delegated = end.timestamp(), self.service.get_user_delegation_key(start, end)
        return {"user_delegation_key": self._delegated[1]}

    def _make(self) -> ContainerClient:
        options = self.options
        session = Session()
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=options.max_connections, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        settings: dict[str, Any] = {
            "transport": RequestsTransport(session=session, session_owner=True),
            "retry_total": 0,  # retries are the mount's own
            "connection_timeout": options.connect_timeout_seconds,
            "read_timeout": options.read_timeout_seconds,
            "max_single_get_size": PIECE_BYTES,
            "max_chunk_get_size": PIECE_BYTES,
            "max_single_put_size": 8 * 1024 * 1024,
            "max_block_size": 8 * 1024 * 1024,
            "logging_enable": False,
        }
        try:
            self.service = self._service(settings)
            return self.service.get_container_client(self._container)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"storage_options of Azure cannot be used: {error}") from error

    def _service(self, settings: dict[str, Any]) -> BlobServiceClient:
        options, environment = self.options, os.environ.get
        own = options.account_url or options.account_name or options.account_key or options.sas_token or options.anon
        connection = options.connection_string or (None if own else environment("AZURE_STORAGE_CONNECTION_STRING"))
        if connection:
            return BlobServiceClient.from_connection_string(connection, **settings)
        name = options.account_name or environment("AZURE_STORAGE_ACCOUNT_NAME") or environment("AZURE_STORAGE_ACCOUNT")
        if not options.account_url and not name:
            raise SettingsError(
                "an Azure root needs a storage account; write az://container@account.blob.core.windows.net/prefix, "
                "give storage_options={'account_name': ...}, or set AZURE_STORAGE_CONNECTION_STRING"
            )
        url = options.account_url or f"https://{name}.blob.core.windows.net"
        return BlobServiceClient(url, credential=self._credential(name), **settings)

    def _credential(self, account_name: str | None) -> Any:
        options, environment = self.options, os.environ.get
        if options.anon:
            return None
        if options.credential is not None:
            return options.credential
        key = options.account_key or environment("AZURE_STORAGE_ACCOUNT_KEY") or environment("AZURE_STORAGE_KEY")
        if key:
            return {"account_name": account_name, "account_key": key} if account_name else key
        if sas := options.sas_token or environment("AZURE_STORAGE_SAS_TOKEN"):
            return sas
        try:
            from azure.identity import DefaultAzureCredential
        except ImportError as error:
            raise SettingsError(
                "there are no Azure credentials; give storage_options account_key, sas_token, credential or "
                "anon=True, or run: pip install 'assetstore[azure]'"
            ) from error
        return DefaultAzureCredential()


_ACCOUNT = re.compile(r"([a-z0-9]{3,24})\.(?:blob|dfs)\.core\.[a-z.]+")


class AzureBackend(ObjectBackend[ContainerClient]):
    """The blobs beneath a prefix of a container; writable.

    ``Last-Modified`` is the modified time, in whole seconds; the ETag is the validator. Names of user metadata
    must be C# identifiers there, so ``assetstore-sha256`` is stored as ``assetstore_sha256``.
    """

    SCHEME = "az"
    client: AzureClient

    def __init__(self, container: str, prefix: str = "", options: AzureOptions | None = None) -> None:
        options = options or AzureOptions()
        super().__init__(container, prefix, options, AzureClient(container, options))

    def stat(self, path: str) -> FileStat:
        key = self.key(path)
        return self._stat_of(path, self.call(path, lambda c: c.get_blob_client(key).get_blob_properties()))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return SyncRangedFile.open(self._fetch, path, span, validator)

    def walk(self) -> Iterator[FileStat]:
        token: str | None = None

        def page_at(container: ContainerClient) -> tuple[list[BlobProperties], str | None]:
            pages: Any = container.list_blobs(name_starts_with=self.prefix, include=["metadata"]).by_page(token)
            return list(next(pages, ())), pages.continuation_token

        while True:
            page, token = self.call("", page_at)
            for blob in page:
                if (path := self.path_of(blob.name)) is not None and not _is_folder(blob):
                    yield self._stat_of(path, blob)
            if not token:
                return

    def _write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self.key(path)
        settings = ContentSettings(
            content_type=options.content_type,
            cache_control=options.cache_control,
            content_encoding=options.content_encoding,
            **self.stored_headers(options),  # type: ignore[arg-type]
        )
        condition: dict[str, Any] = {"overwrite": not options.create_only}
        if not options.create_only:
            condition |= _only(options.if_validator)
        metadata = stored_metadata(options)

        def upload(container: ContainerClient) -> dict[str, Any]:
            return container.get_blob_client(key).upload_blob(
                SourceReader(path, source, options.sha256),
                length=source.stat.size,
                content_settings=settings,
                metadata={name.replace("-", "_"): value for name, value in metadata.items()},
                read_timeout=self.client.options.write_timeout_seconds,
                **condition,
            )

        answer = self.call(path, upload)
        return stat_of_object(
            path,
            size=source.stat.size,
            modified=answer.get("last_modified"),
            validator=_validator(answer.get("etag")),
            coding=options.content_encoding,
            metadata=metadata,
        )

    def require_signing(self) -> None:
        """As :meth:`Presigns.require_signing`: an account key signs, or a key that Azure gives to an identity."""
        if not self.client.account_key and not hasattr(self.client.get().credential, "get_token"):
            raise SettingsError(
                f"no URL of {self.label} can be signed with a shared access signature, or without credentials; give "
                "storage_options an account_key, a connection_string with one, or a credential of azure.identity"
            )

    def presigned_url(
        self, path: str, *, content_type: str, cache_control: str, seconds: int, validator: str | None = None
    ) -> PresignedUrl:
        """As :meth:`Presigns.presigned_url`: a shared access signature for reading this blob."""
        key, until = self.key(path), time.time() + seconds

        def sign(container: ContainerClient) -> str:
            signature = generate_blob_sas(
                container.account_name or "",
                container.container_name,
                key,
                permission="r",
                expiry=datetime.fromtimestamp(until, UTC),
                content_type=content_type,
                cache_control=cache_control,
                **self.client.signing_key(until),
            )
            return f"{container.get_blob_client(key).url}?{signature}"

        url = self.call(path, sign)
        return PresignedUrl(url, until, None if validator is None else f'"{validator}"')

    def _delete(self, client: ContainerClient, key: str) -> None:
        client.get_blob_client(key).delete_blob()

    def _fetch(self, path: str, span: Span, validator: str | None) -> Download:
        """The blob's facts and the first bytes of *span* in one request; an empty blob and a suffix need a second."""
        first = b""
        start = span.start
        try:
            if start < 0:  # only the size tells where a suffix begins
                stat = self._pinned(path, validator)
            else:
                stop = start + PIECE_BYTES if span.stop is None else max(start + 1, min(span.stop, start + PIECE_BYTES))
                stat, first = self._get(path, start, stop, validator)
        except RangeNotSatisfiable:
            stat = self._pinned(path, validator)
            if start and stat.size:
                raise RangeNotSatisfiable(f"{path!r} has only {stat.size} bytes", path=path, size=stat.size) from None
        part = span.within(stat.size)
        fetch = PieceBody(part, lambda start, stop: self._get(path, start, stop, stat.validator)[1], first)
        return Download(stat, part, fetch)

    def _get(self, path: str, start: int, stop: int, validator: str | None) -> tuple[FileStat, bytes]:
        key = self.key(path)
        pinned = {"decompress": False, **_only(validator)}  # else a blob that is stored as gzip arrives decoded

        def get(container: ContainerClient) -> tuple[BlobProperties, bytes]:
            found = container.get_blob_client(key).download_blob(start, stop - start, max_concurrency=1, **pinned)
            return found.properties, found.readall()

        properties, content = self.call(path, get)
        whole = (properties.content_range or "").rpartition("/")[2]
        if whole.isdecimal():  # the client reports the size of the range that was requested
            properties.size = int(whole)
        return self._stat_of(path, properties), content

    def _pinned(self, path: str, validator: str | None) -> FileStat:
        stat = self.stat(path)
        if validator not in {None, stat.validator}:
            raise VersionChanged(f"{path!r} is no longer the version {validator!r}", path=path)
        return stat

    def _stat_of(self, path: str, blob: BlobProperties) -> FileStat:
        if _is_folder(blob):
            raise AssetNotFound(path, self.label)
        return stat_of_object(
            path,
            size=int(blob.size),
            modified=blob.last_modified,
            validator=_validator(blob.etag),
            coding=blob.content_settings.content_encoding,
            metadata={name.lower().replace("_", "-"): value for name, value in (blob.metadata or {}).items()},
        )

    def _translate(self, error: Exception, path: str) -> AssetStoreError:
        return translate(error, path, self.label)


def _only(validator: str | None) -> dict[str, Any]:
    """The arguments of a request for that version alone."""
    return {} if validator is None else {"etag": f'"{validator}"', "match_condition": MatchConditions.IfNotModified}


def _validator(etag: str | None) -> str | None:
    """A blob's ETag without quotes, which a listing has none of."""
    return etag.strip('"') or None if etag else None


def _is_folder(blob: BlobProperties) -> bool:
    """Whether *blob* is a folder of a hierarchical namespace, which is listed as an empty blob."""
    return (blob.metadata or {}).get("hdi_isfolder", "").lower() == "true"


def open_url(url: str, storage_options: Mapping[str, Any]) -> AzureBackend:
    """The backend of ``az://container/prefix`` or ``abfs://container@account.dfs.core.windows.net/prefix``.

    Raises:
        SettingsError: it names no container or no account, or an option is unknown or impossible.
    """
    bucket, prefix = split_url(url, "az://container or az://container/prefix")
    container, _, host = bucket.partition("@")
    options = dict(storage_options)
    if account := _ACCOUNT.fullmatch(host):
        options.setdefault("account_name", account[1])
    return AzureBackend(container, prefix, AzureOptions.of(options))
