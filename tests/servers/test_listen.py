"""That a place to listen at is checked before a server is started there."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from assetstore.errors import SettingsError
from assetstore.servers import Listen


@pytest.fixture
def key_and_cert(tmp_path: Path, program: Callable[[str], Path]) -> tuple[str, str]:
    """A private key and a certificate for it, as PEM files."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1"
    command = [program("openssl"), *request.split(), "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return str(key), str(cert)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (Listen(), "http://127.0.0.1:8000"),
        (Listen("::1", 80), "http://[::1]:80"),
        (Listen(tls_cert="c", tls_key="k", port=443), "https://127.0.0.1:443"),
        (Listen(uds="/run/x.sock"), "unix:/run/x.sock:"),
    ],
)
def test_the_address_is_spelled_as_it_is_typed(listen: Listen, url: str) -> None:
    assert listen.url == url


def test_port_0_becomes_a_free_one() -> None:
    assert Listen(port=0).checked().port > 0


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        (Listen(port=-1), "out of range"),
        (Listen(host="no-such-host.invalid"), "is no address of this machine"),
        (Listen(host="192.0.2.1", port=0), "cannot listen on 192.0.2.1"),
        (Listen(tls_key="x"), "needs both"),
        (Listen(tls_cert="/no/cert", tls_key="/no/key"), "is no file that can be read"),
        (Listen(uds="/no/such/dir/x.sock"), "there is no such directory"),
    ],
)
def test_a_bad_place_says_what_is_wrong(listen: Listen, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        listen.checked()


def test_a_taken_port_names_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"--port {port + 1}"):
            Listen(port=port).checked()


def test_a_socket_left_over_is_taken_again_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(SettingsError, match="another server"):
            Listen(uds=path).checked()
    assert Listen(uds=path).checked().uds == path


def test_a_plain_file_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(SettingsError, match="is no socket"):
        Listen(uds=str(path)).checked()


@pytest.mark.program("openssl")
def test_tls_files_must_belong_together(key_and_cert: tuple[str, str]) -> None:
    key, cert = key_and_cert
    assert Listen(port=0, tls_cert=cert, tls_key=key).checked().url.startswith("https://")
    with pytest.raises(SettingsError, match="do not go together"):
        Listen(port=0, tls_cert=key, tls_key=cert).checked()
