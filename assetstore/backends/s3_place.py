"""This module owns what reading and writing an object need of the bucket it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from assetstore.backends.s3_client import Client, S3Options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


class Place(Protocol):
    """The keys beneath a prefix of a bucket."""

    bucket: str
    prefix: str
    label: str
    client: Client
    #: Whether the server has conditional writes; ``None`` until each was tried.
    conditional_creates: bool | None
    conditional_replaces: bool | None

    @property
    def options(self) -> S3Options: ...

    def key(self, path: str) -> str:
        """The key of *path*; raises :class:`AssetNotFound` for what can be no asset."""

    def cannot_store(self, header: str) -> None:
        """Say once that S3 has no place for *header*."""

    def call(self, path: str, operation: Callable[[S3Client], T]) -> T:
        """What *operation* returns; its faults become ours. Refused credentials are renewed once."""
