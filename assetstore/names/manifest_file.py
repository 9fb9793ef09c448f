"""A manifest at a path, at an fsspec URL, or in a root that was published to; and whether it has been replaced."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from typing import Any

from assetstore.backends import open_backend
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, BackendError, BackendForbidden, ManifestError, UnexpectedResponse
from assetstore.names import manifest as manifests
from assetstore.names.manifest import Manifest

#: Where a published root has the manifest of its live release.
LIVE_RELEASE = ".assetstore/current.json"


class ManifestFile:
    """A manifest at a path or an fsspec URL; *storage_options* go to what a URL names.

    Raises:
        SettingsError: the URL's scheme is unknown, or its library is not installed.
    """

    def __init__(self, where: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> None:
        self.where = os.fspath(where)
        split = posixpath.split if scheme(self.where) else os.path.split
        folder, self._name = split(self.where if scheme(self.where) else os.path.abspath(self.where))
        self._backend = open_backend(folder, storage_options, must_exist=False)

    @classmethod
    def of_release(cls, root: Backend) -> ManifestFile:
        """The manifest of the live release in *root*, where ``assetstore publish`` keeps it."""
        file = cls.__new__(cls)
        file._backend, file._name = root, LIVE_RELEASE
        file.where = f"{root.label}/{LIVE_RELEASE}"
        return file

    @property
    def exists(self) -> bool:
        """Whether there is one now; a request where the storage is remote.

        Raises:
            BackendError: storage failed.
        """
        try:
            self._backend.stat(self._name)
        except (AssetNotFound, BackendForbidden, UnexpectedResponse):
            return False
        return True

    @property
    def remote(self) -> bool:
        """Whether reading it crosses a network."""
        return self._backend.remote

    def read(self) -> tuple[Manifest, FileStat]:
        """The manifest, and the facts of the file that it was read from.

        Raises:
            ManifestError: it is missing, cannot be read, is not ours, or is of a newer format.
        """
        try:
            opened = self._backend.open(self._name)
            try:
                data = b"".join(opened.chunks(0, opened.stat.size))
            finally:
                opened.close()
        except AssetNotFound:
            raise self._missing() from None
        except BackendError as error:
            raise self._unreadable(error) from error
        return manifests.load(data, self.where), opened.stat

    def is_still(self, stat: FileStat) -> bool:
        """Whether the file is the one that *stat* describes, which one small request tells.

        Raises:
            ManifestError: it is missing, or the storage failed.
        """
        try:
            now = self._backend.stat(self._name)
        except AssetNotFound:
            raise self._missing() from None
        except BackendError as error:
            raise self._unreadable(error) from error
        return now.version == stat.version

    def _missing(self) -> ManifestError:
        advice = "write it with 'assetstore publish --manifest PATH', or correct manifest="
        return ManifestError(f"there is no manifest at {self.where}; {advice}")

    def _unreadable(self, error: BackendError) -> ManifestError:
        return ManifestError(f"the manifest at {self.where} cannot be read: {error}")


def scheme(where: str) -> str:
    """The scheme of a URL, lower case; ``""`` for a path."""
    return where.partition("://")[0].lower() if "://" in where else ""
