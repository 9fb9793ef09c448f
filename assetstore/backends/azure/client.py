"""The azure-storage-blob client of one mount (options, credentials, pool, limits), and its errors in our tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import azure.core.exceptions as azure
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, ContainerClient
from requests import Session
from requests.adapters import HTTPAdapter

from assetstore.backends.http.headers import kind_of_status, make
from assetstore.backends.objects import PIECE_BYTES, BucketOptions, PooledClient
from assetstore.errors import (
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
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
        self.get()

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
            return self._service(settings).get_container_client(self._container)
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
