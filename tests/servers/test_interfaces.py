"""What every interface to a server has to do: TLS, and an end that lets answers finish."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from servers.processes import ProcessStarter

PROJECT = Path(__file__).parents[2]


@pytest.fixture(params=["uvicorn", "granian"])
def serve(request: pytest.FixtureRequest) -> list[str]:
    """The command that serves a tree through each interface."""
    return [sys.executable, "-m", "assetstore", "serve", "--server", request.param]


@pytest.mark.program("openssl")
def test_it_speaks_tls(
    serve: list[str], asset_tree: Path, tmp_path: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request.split(), *names], check=True, capture_output=True)
    port = free_port()
    start_process(
        [*serve, asset_tree, "--port", str(port), "--tls-cert", cert, "--tls-key", key], port=port, cwd=PROJECT
    )
    trusting = ssl.create_default_context(cafile=str(cert))
    with urlopen(f"https://127.0.0.1:{port}/assets/robots.txt", context=trusting, timeout=10) as answer:
        assert answer.read() == b"one from robots.txt\n"


def test_an_answer_under_way_is_finished_before_it_ends(
    serve: list[str], asset_tree: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    size = 30_000_000
    (asset_tree / "large.bin").write_bytes(b"x" * size)
    port = free_port()
    server = start_process([*serve, asset_tree, "--port", str(port)], port=port, cwd=PROJECT)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /assets/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        received = len(client.recv(65_536))
        server.popen.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.popen.poll() is None
        while chunk := client.recv(1_000_000):
            received += len(chunk)
    assert received > size
    assert server.popen.wait(timeout=30) in {0, -signal.SIGTERM}
