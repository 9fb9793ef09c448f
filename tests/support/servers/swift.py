"""A whole OpenStack Swift in one directory: rings, configurations, four processes.

Its S3 interface checks signatures, clocks and the expiry of presigned URLs. It knows no session
tokens, so a filter of ours (``servers.swift_sessions``) stands in front and refuses those that
have run out, as S3 does: by then Swift has the token under the signature like any other header.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from servers.processes import PROJECT, Process, ProcessStarter, free_port

PORTS = ("proxy", "account", "container", "object")

SWIFT_CONF = "[swift-hash]\nswift_hash_path_suffix = assetstore\n"

COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
log_level = WARNING
log_address = /nonexistent
"""

STORAGE = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY = """
[pipeline:main]
pipeline = catch_errors cache sessions s3api tempauth bulk slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:sessions]
paste.filter_factory = servers.swift_sessions:filter_factory

[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1

[filter:bulk]
use = egg:swift#bulk

[filter:slo]
use = egg:swift#slo
"""


@dataclass(frozen=True, slots=True)
class SwiftServer:
    """A running Swift; the proxy is what clients talk to."""

    ACCESS_KEY: ClassVar[str] = "test:tester"
    SECRET_KEY: ClassVar[str] = "a-secret-that-is-checked"

    proxy: Process

    @property
    def url(self) -> str:
        return self.proxy.url

    @classmethod
    def start(cls, environment: Path, directory: Path, starter: ProcessStarter) -> SwiftServer:
        """Lay out *directory* and start the four servers of *environment* (a virtual environment)."""
        ports = {kind: free_port() for kind in PORTS}
        (directory / "devices/disk").mkdir(parents=True)
        (directory / "swift.conf").write_text(SWIFT_CONF)
        for kind, port in ports.items():
            (directory / f"{kind}-server.conf").write_text(_configuration(kind, port, directory))
        for kind in PORTS[1:]:
            _build_ring(environment, directory, kind, ports[kind])
        servers = [
            starter(
                [environment / f"bin/swift-{kind}-server", directory / f"{kind}-server.conf"],
                port=ports[kind],
                env={"PYTHONPATH": str(PROJECT / "tests/support"), "PYTHONWARNINGS": "ignore"},
            )
            for kind in reversed(PORTS)
        ]
        return cls(servers[-1])


def _configuration(kind: str, port: int, directory: Path) -> str:
    text = COMMON + (PROXY if kind == "proxy" else STORAGE)
    return text.format(kind=kind, port=port, directory=directory, user=directory.owner(), secret=SwiftServer.SECRET_KEY)


def _build_ring(environment: Path, directory: Path, kind: str, port: int) -> None:
    """One replica on one device; each server finds its ring in ``swift_dir``."""
    builder = [environment / "bin/swift-ring-builder", f"{kind}.builder"]
    for step in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/disk", "1"], ["rebalance"]):
        subprocess.run([*builder, *step], cwd=directory, check=True, capture_output=True)
