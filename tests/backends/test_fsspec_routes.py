"""What an fsspec user has, served through a Starlette route: objects, folders, paths, archives, references, caches."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import fsspec
import pytest
from fsspec.asyn import sync
from fsspec.implementations.dirfs import DirFileSystem
from starlette.applications import Starlette
from starlette.testclient import TestClient
from upath import UPath

from assetstore import AssetStore
from assetstore.errors import BackendUnavailable
from servers.processes import free_port
from servers.s3 import S3Bucket, S3Server
from waiting import eventually

STYLE, FILM = b"a { color: red }\n" * 50, bytes(range(256)) * 2000
Root = Callable[["Place"], tuple[Any, dict[str, Any] | None]]


class Place:
    """A bucket with the files in the folder ``site``, in two archives, and end to end in ``pack.bin``."""

    def __init__(self, bucket: S3Bucket) -> None:
        self.bucket = bucket
        bucket.put({"site/css/app.css": STYLE, "site/film.bin": FILM, "pack.bin": STYLE + FILM})
        bucket.put({"site.zip": _packed("pub/"), "flat.zip": _packed("")})
        server = bucket.server
        self.options = {
            "key": server.access_key,
            "secret": server.secret_key,
            "client_kwargs": {"endpoint_url": server.endpoint_url, "region_name": server.region},
        }
        self._made: list[Any] = []

    def filesystem(self) -> Any:
        """s3fs, configured as its user does it."""
        self._made.append(fsspec.filesystem("s3", skip_instance_cache=True, **self.options))
        return self._made[-1]

    def close(self) -> None:
        for each in self._made:
            if each._s3 is not None:
                sync(each.loop, each._s3.close)


def _packed(folder: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(f"{folder}css/app.css", STYLE)
        out.writestr(f"{folder}film.bin", FILM)
    return packed.getvalue()


def _reference(place: Place) -> tuple[Any, dict[str, Any]]:
    pack = f"s3://{place.bucket.name}/pack.bin"
    references = {"css/app.css": [pack, 0, len(STYLE)], "film.bin": [pack, len(STYLE), len(FILM)], "note.txt": "hello"}
    return "reference://", {"fo": references, "remote_protocol": "s3", "remote_options": place.options}


def _memory(place: Place) -> tuple[Any, None]:
    folder = f"/{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    files.pipe({f"{folder}/css/app.css": STYLE, f"{folder}/film.bin": FILM})
    return UPath(f"memory://{folder}"), None


ROOTS: dict[str, Root] = {
    "filesystem and path": lambda place: ((place.filesystem(), f"{place.bucket.name}/site"), None),
    "DirFileSystem": lambda place: (DirFileSystem(f"{place.bucket.name}/site", fs=place.filesystem()), None),
    "UPath of a bucket": lambda place: (UPath(f"s3://{place.bucket.name}/site", **place.options), None),
    "UPath of memory": _memory,
    "zip::s3": lambda place: (f"zip::s3://{place.bucket.name}/flat.zip", {"s3": place.options}),
    "zip://folder::s3": lambda place: (f"zip://pub::s3://{place.bucket.name}/site.zip", {"s3": place.options}),
    "simplecache::s3": lambda place: (f"simplecache::s3://{place.bucket.name}/site", {"s3": place.options}),
    "reference": _reference,
    "backend=fsspec": lambda place: (f"s3://{place.bucket.name}/site", {"backend": "fsspec", **place.options}),
}


@pytest.fixture
def place(moto_bucket: S3Bucket) -> Iterator[Place]:
    place = Place(moto_bucket)
    yield place
    place.close()


@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # s3fs leaves its session to the garbage collector
@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
def test_it_answers_through_a_route(place: Place, name: str) -> None:
    root, options = ROOTS[name](place)
    with ExitStack() as exits:
        store = exits.enter_context(AssetStore({}))
        store.static("/media/", root=root, name="media", storage_options=options, fingerprint="content")
        client = exits.enter_context(TestClient(Starlette(routes=store.routes, lifespan=store.lifespan)))
        store.refresh()
        whole = client.get("/media/css/app.css", headers={"accept-encoding": "identity"})
        assert (whole.status_code, whole.content) == (200, STYLE)
        assert whole.headers["content-type"] == "text/css; charset=utf-8"
        part = client.get("/media/film.bin", headers={"range": "bytes=300000-300009"})
        assert (part.status_code, part.content) == (206, FILM[300000:300010])
        assert client.get("/media/css/no.css").status_code == 404
        # The bytes are hashed in the background.
        assert eventually(lambda: store.url_for("media", file="css/app.css") != "/media/css/app.css")
        url = store.url_for("media", file="css/app.css")
        named = client.get(url, headers={"accept-encoding": "identity"})
        assert (named.content, "immutable" in named.headers["cache-control"]) == (STYLE, True)
        if name == "reference":  # its info is a size: there is neither a time nor a validator to send
            assert "etag" not in named.headers
            return
        validator = {"accept-encoding": "identity", "if-none-match": named.headers["etag"]}
        assert client.get(url, headers=validator).status_code == 304


def test_an_archive_in_a_bucket_that_is_down_does_not_end_the_application() -> None:
    options = {
        "key": "k",
        "secret": "s",
        "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{free_port()}"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with AssetStore({}) as store:
        mount = store.static("/media/", root="zip://pub::s3://b/x.zip", name="media", storage_options={"s3": options})
        assert mount.backend.remote
        with pytest.raises(BackendUnavailable):
            mount.backend.stat("css/app.css")


def test_an_archive_that_is_missing_is_a_fault_of_the_storage_and_no_missing_file(moto_server: S3Server) -> None:
    options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": moto_server.endpoint_url}}
    with AssetStore({}) as store:
        mount = store.static("/m/", root="zip://pub::s3://nobodys/x.zip", name="m", storage_options={"s3": options})
        with pytest.raises(BackendUnavailable, match="cannot be opened"):
            mount.backend.stat("css/app.css")
