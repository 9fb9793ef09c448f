"""What stands in localstack/ for those with Docker: it is pinned, it stays on the loopback, it makes its bucket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from servers.processes import PROJECT
from servers.s3 import S3Server

FOLDER = PROJECT / "localstack"

#: Stands in for the image's own ``awslocal s3api <command> --bucket <name>``.
AWSLOCAL = """#!{python}
import os, sys, boto3
client = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1",
                      aws_access_key_id="test", aws_secret_access_key="test")
_, api, command, option, bucket = sys.argv
assert (api, option) == ("s3api", "--bucket")
getattr(client, command.replace("-", "_"))(Bucket=bucket)
"""


@pytest.fixture
def service() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    assert list(services) == ["localstack"]
    found: dict[str, Any] = services["localstack"]
    return found


def test_the_image_is_the_version_that_the_script_installs(service: dict[str, Any]) -> None:
    version = service["image"].removeprefix("localstack/localstack:")
    assert f"localstack-core[base-runtime]=={version}\n" in (FOLDER / "requirements.txt").read_text()


def test_the_port_is_bound_to_the_loopback_alone(service: dict[str, Any]) -> None:
    assert service["ports"] == ["127.0.0.1:4566:4566"]


def test_the_init_folder_is_where_the_image_looks(service: dict[str, Any]) -> None:
    source, target, _ = service["volumes"][0].split(":")
    assert target == "/etc/localstack/init/ready.d"
    assert os.access(FOLDER / source / "bucket.sh", os.X_OK)


def test_the_init_script_makes_the_bucket_and_may_run_twice(tmp_path: Path, moto_server: S3Server) -> None:
    command = tmp_path / "awslocal"
    command.write_text(AWSLOCAL.format(python=sys.executable))
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "ENDPOINT": moto_server.endpoint_url, "ASSETSTORE_BUCKET": "made-by-init"}
    for _ in range(2):
        subprocess.run([FOLDER / "init/bucket.sh"], env=env, check=True, capture_output=True)
    client = moto_server.client()
    assert "made-by-init" in {each["Name"] for each in client.list_buckets()["Buckets"]}
    client.delete_bucket(Bucket="made-by-init")
    client.close()


def test_no_python_shadows_the_localstack_package() -> None:
    assert list(FOLDER.rglob("*.py")) == []
