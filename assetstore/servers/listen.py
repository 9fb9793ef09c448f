"""Where a server listens: a host and port or a unix socket, with TLS or without."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from assetstore.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Listen:
    """A place to listen at."""

    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: int = 8000
    #: Path of a unix socket; host and port count for nothing then.
    uds: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @property
    def url(self) -> str:
        """The address as a person would type it, without a closing slash."""
        if self.uds is not None:
            return f"unix:{self.uds}:"
        scheme = "http" if self.tls_cert is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def checked(self) -> Listen:
        """The same place with its real port, known to be free and with TLS files that load.

        Raises:
            SettingsError: the port or socket is taken, the host is not ours, or a TLS file is no good.
        """
        self._check_tls()
        if self.uds is not None:
            _check_socket_path(self.uds)
            return self
        return replace(self, port=_free(self.host, self.port))

    def _check_tls(self) -> None:
        if self.tls_cert is None and self.tls_key is None:
            return
        if self.tls_cert is None or self.tls_key is None:
            raise SettingsError("TLS needs both --tls-cert and --tls-key")
        for option, file in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            if not os.access(file, os.R_OK):
                raise SettingsError(f"{option}={file!r} is no file that can be read")
        try:
            # Each worker would prompt for a pass phrase on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise SettingsError(
                f"--tls-cert={self.tls_cert!r} and --tls-key={self.tls_key!r} do not go together: {error}; "
                "give PEM files, the key without a pass phrase"
            ) from None


def _free(host: str, port: int) -> int:
    """*port* if nobody listens on it, or a free one for 0."""
    if not 0 <= port <= 65_535:
        raise SettingsError(f"port {port} is out of range; give 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except socket.gaierror as error:
        raise SettingsError(f"host {host!r} is no address of this machine: {error.strerror}") from None
    except PermissionError:
        raise SettingsError(f"port {port} is for the superuser alone; give one above 1023, as --port 8000") from None
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}; give another, as --port {(port or 8000) + 1}"
        ) from None


def _check_socket_path(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not Path(path).absolute().parent.is_dir():
            raise SettingsError(f"--uds={path!r}: there is no such directory") from None
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"--uds={path!r} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return  # left over from a server that is gone; the next one takes its place
    raise SettingsError(f"--uds={path!r}: another server listens there")
