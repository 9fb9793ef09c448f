"""``S3Options``, and the boto3 client of one mount: its pool, its limits, its renewal, and fast parsing of listings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import unquote_plus, urlsplit
from xml.etree import ElementTree

import boto3
from botocore import UNSIGNED, handlers
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.utils import is_valid_endpoint_url

from assetstore.backends.base import FileStat
from assetstore.backends.http import is_size, mtime_ns, strong
from assetstore.backends.objects import BucketOptions, PooledClient
from assetstore.errors import SettingsError, UnexpectedResponse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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


#: Seconds before another renewal is tried: wrong credentials must not cost a new client per request.
RENEWAL_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options(BucketOptions):
    """The ``storage_options`` of an S3 mount. What is ``None`` comes from the usual AWS environment."""

    SERVICE: ClassVar[str] = "S3"
    ALIASES: ClassVar[Mapping[str, str]] = {
        "key": "aws_access_key_id",
        "secret": "aws_secret_access_key",
        "token": "aws_session_token",
        "region": "region_name",
        "profile": "profile_name",
        "anon": "unsigned",
    }
    SCHEMES: ClassVar[tuple[str, ...]] = ("s3", "s3a")

    #: An S3-compatible service: ``r2``, ``b2``, ``wasabi``, ``digitalocean``, ``tigris``, ``minio``, ``ceph``
    #: or ``aws``. It sets what differs: endpoint, signing region and addressing style, where they
    #: are not given. Most are recognized by their ``endpoint_url`` too.
    service: str | None = None
    #: The account id that is part of the endpoint (R2).
    account: str | None = None
    #: Where the S3-compatible server is: ``https://s3.example.com``.
    endpoint_url: str | None = None
    region_name: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = field(default=None, repr=False)
    aws_session_token: str | None = field(default=None, repr=False)
    #: A profile of ``~/.aws/config``.
    profile_name: str | None = None
    #: Send no credentials at all: a public bucket.
    unsigned: bool = False
    #: ``virtual`` (bucket.host), ``path`` (host/bucket), or ``auto``.
    addressing_style: str = "auto"
    #: Whether to verify TLS certificates, or a path to a CA bundle.
    verify: bool | str | None = None
    #: The mount's role may not list, so S3 says 403 for what is merely missing: call it missing.
    forbidden_is_missing: bool = False
    #: How serving reads: ``aiohttp``, ``threads`` (boto3), or ``auto``: aiohttp where it is installed.
    reader: str = "auto"
    #: Whether whoever requests pays for it (requester-pays buckets).
    requester_pays: bool = False
    #: Further arguments of every PutObject, such as ``{"ServerSideEncryption": "aws:kms"}``.
    put_arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request_arguments(self) -> dict[str, Any]:
        """Arguments of every request for an object or a listing."""
        return {"RequestPayer": "requester"} if self.requester_pays else {}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The options by our names or those of s3fs.

        Raises:
            SettingsError: an option is unknown or has an impossible value.
        """
        nested = dict(options.get("client_kwargs", {}))  # where s3fs has endpoint, region and verify
        given = {**{name: value for name, value in options.items() if name != "client_kwargs"}, **nested}
        parsed = super(S3Options, cls).of(given)._for_service()
        if parsed.addressing_style not in {"auto", "virtual", "path"}:
            raise SettingsError(f"addressing_style is {parsed.addressing_style!r}; give 'auto', 'virtual' or 'path'")
        if parsed.reader not in {"auto", "aiohttp", "threads"}:
            raise SettingsError(f"storage_options['reader'] is {parsed.reader!r}; give 'auto', 'aiohttp' or 'threads'")
        if (parsed.aws_access_key_id is None) != (parsed.aws_secret_access_key is None):
            raise SettingsError(
                "storage_options give half a credential; aws_access_key_id and aws_secret_access_key go together"
            )
        return parsed

    def _for_service(self) -> Self:
        """These options, completed by what the service needs."""
        endpoint, found = self.endpoint_url, None
        if self.service is not None:
            if self.service not in SERVICES:
                raise SettingsError(
                    f"storage_options['service'] is {self.service!r}; the services are: {', '.join(SERVICES)}"
                )
            service = SERVICES[self.service]
            if endpoint is None and service.endpoint is not None:
                given = {"account": self.account, "region": self.region_name}
                for name, value in given.items():
                    if value is None and f"{{{name}}}" in service.endpoint:
                        option = "account" if name == "account" else "region_name"
                        raise SettingsError(f"storage_options of the service {self.service!r} need {option!r}")
                endpoint = service.endpoint.format_map(given)
            found = service, service.region
        elif endpoint is not None:
            found = recognized(endpoint)
        if found is None:
            return self
        service, region = found
        style = service.addressing_style if self.addressing_style == "auto" else self.addressing_style
        return replace(self, endpoint_url=endpoint, region_name=self.region_name or region, addressing_style=style)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access key and secret key; ``repr`` shows neither."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "Credentials(...)"


class Client(PooledClient["S3Client"]):
    """A boto3 client, renewed when its credentials fail; boto3 clients may be shared by threads."""

    def __init__(self, options: S3Options) -> None:
        super().__init__()
        self.options = options
        self._session: boto3.Session | None = None
        #: How many handlers botocore gave to every new client when ours was made; moto adds one.
        self._handlers = 0
        self._renewed_at = -RENEWAL_PAUSE_SECONDS

    def check(self) -> None:
        """Look over what would make every request fail, without a client, which takes a tenth of a second to make.

        Raises:
            SettingsError: there is no such profile, or the endpoint is no URL.
        """
        options = self.options
        try:
            if options.profile_name is not None:
                boto3.Session(profile_name=options.profile_name)
        except BotoCoreError as error:
            raise SettingsError(f"the S3 client cannot be made: {error}; check storage_options and AWS_*") from error
        endpoint = options.endpoint_url
        if endpoint is not None and not (urlsplit(endpoint).netloc and is_valid_endpoint_url(endpoint)):
            raise SettingsError(
                f"the S3 client cannot be made: storage_options['endpoint_url'] is {endpoint!r}; "
                "write it like https://s3.example.com"
            )

    def is_intercepted(self, bucket: str) -> bool:
        """Whether requests to *bucket* are answered inside this process: by moto's ``mock_aws`` or botocore's ``Stubber``.

        What is not sent by boto3 would go past those and to the real cloud. Takes 3 to 5 µs (measured); where a mock
        is active, as long as it takes to answer one HEAD.
        """
        if self._made is not None and self._handlers != len(handlers.BUILTIN_HANDLERS):
            self.close()  # moto was imported since: only clients made afterwards know it
        client = self.get()
        events: Any = client.meta.events
        if "boto_stubber" in getattr(getattr(events, "_emitter", None), "_unique_id_handlers", ()):
            return True
        request = AWSRequest("HEAD", f"{client.meta.endpoint_url}/{bucket}").prepare()
        return any(answer is not None for _, answer in events.emit("before-send.s3.HeadBucket", request=request))

    def renew(self, used: S3Client | None = None) -> bool:
        """Make a new client, so that credentials are looked up again; false if that was just done.

        With *used*, the client that failed: true without a new one if another thread has renewed it since.
        """
        with self._lock:
            if used is not None and self._made is not None and self._made is not used:
                return True
            if time.monotonic() - self._renewed_at < RENEWAL_PAUSE_SECONDS:
                return used is not None and self._made is None
            self._renewed_at = time.monotonic()
            self._made = None
            return True

    def credentials(self) -> Credentials | None:
        """The current credentials; ``None`` for a public bucket, or where there are none."""
        found = None if self.options.unsigned else self.session().get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
        return Credentials(frozen.access_key or "", frozen.secret_key or "")

    def frozen_credentials(self) -> ReadOnlyCredentials:
        """The current credentials with their session token.

        Raises:
            NoCredentialsError: there are none.
        """
        found = self.session().get_credentials()
        if found is None:
            raise NoCredentialsError
        return found.get_frozen_credentials()

    def credentials_expire_at(self) -> datetime | None:
        """When the current credentials expire; ``None`` if that is not known."""
        credentials = self.session().get_credentials()
        # botocore has no public name for it, and a URL must not outlive the credentials that signed it.
        expiry = getattr(credentials, "_expiry_time", None)
        return expiry if isinstance(expiry, datetime) else None

    def verify(self) -> bool | str:
        """Whether TLS certificates are verified, or the CA bundle: of the options, ``AWS_CA_BUNDLE`` or the profile."""
        if self.options.verify is not None:
            return self.options.verify
        bundle: str | None = self.session()._session.get_config_variable("ca_bundle")
        return bundle or True

    def session(self) -> boto3.Session:
        """The session of the client."""
        self.get()
        assert self._session is not None
        return self._session

    def _make(self) -> S3Client:
        options = self.options
        self._handlers = len(handlers.BUILTIN_HANDLERS)
        try:
            session = boto3.Session(
                aws_access_key_id=options.aws_access_key_id,
                aws_secret_access_key=options.aws_secret_access_key,
                aws_session_token=options.aws_session_token,
                region_name=options.region_name,
                profile_name=options.profile_name,
            )
            client: S3Client = session.client(
                "s3",
                # Many servers ignore the region, but signing needs one.
                region_name=session.region_name or "us-east-1",
                endpoint_url=options.endpoint_url,
                verify=options.verify,
                config=_config(options),
            )
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(f"the S3 client cannot be made: {error}; check storage_options and AWS_*") from error
        client.meta.events.register(EVENT, take_rows)
        self._session = session
        return client


def _config(options: S3Options) -> Config:
    return Config(
        signature_version=UNSIGNED if options.unsigned else "s3v4",
        connect_timeout=options.connect_timeout_seconds,
        read_timeout=options.read_timeout_seconds,
        max_pool_connections=options.max_connections,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        s3={"addressing_style": options.addressing_style},  # type: ignore[arg-type]
        # A server that sends the whole object's checksum with a part of it would fail every range.
        response_checksum_validation="when_required",
        request_checksum_calculation="when_required",
        user_agent_extra="assetstore",
    )


#: The rows' name in the response.
ROWS = "AssetstoreRows"
#: botocore's event; register :func:`take_rows` for it.
EVENT = "before-parse.s3.ListObjectsV2"

_EMPTY_PAGE = b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'


def take_rows(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """botocore's hook: move the page's rows and its continuation into the customized response.

    Raises:
        UnexpectedResponse: a row has no usable size.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        tree = ElementTree.fromstring(response_dict["body"])
    except ElementTree.ParseError:
        return  # botocore's own parser raises
    response_dict["body"] = _EMPTY_PAGE
    encoded = tree.findtext("{*}EncodingType") == "url"
    customized_response_dict[ROWS] = list(_rows(tree, encoded))
    # Read by botocore's page loop and its handlers.
    customized_response_dict["IsTruncated"] = tree.findtext("{*}IsTruncated") == "true"
    if token := tree.findtext("{*}NextContinuationToken"):
        customized_response_dict["NextContinuationToken"] = token


def _rows(tree: ElementTree.Element, encoded: bool) -> Iterator[tuple[str, int, str, str]]:
    for row in tree.iterfind("{*}Contents"):
        key = modified = etag = ""
        size = "0"
        for cell in row:
            match cell.tag.rpartition("}")[2]:
                case "Key":
                    key = cell.text or ""
                case "Size":
                    size = (cell.text or "0").strip()
                case "LastModified":
                    modified = cell.text or ""
                case "ETag":
                    etag = cell.text or ""
        if not is_size(size):
            raise UnexpectedResponse(f"the listing says that {key!r} has the size {size[:40]!r}", path=key)
        yield unquote_plus(key) if encoded else key, int(size), modified, etag


def stats(page: Mapping[str, Any], prefix: str) -> Iterator[FileStat]:
    """The files of one page as boto3 returned it, with *prefix* taken from their keys."""
    skip = len(prefix)
    for key, size, modified, etag in page.get(ROWS) or _parsed(page):
        if key.startswith(prefix):
            yield FileStat(key[skip:], size, mtime_ns(modified), strong(etag))


def _parsed(page: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str]]:
    for row in page.get("Contents", ()):
        yield row["Key"], row["Size"], row["LastModified"].isoformat(), row["ETag"]
