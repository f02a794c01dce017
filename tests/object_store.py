"""An object store that speaks S3 on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest


def _place(request: pytest.FixtureRequest) -> str:
    return f"{re.sub(r'[^a-z0-9_]', '-', request.node.name)}-{abs(hash(request.node.nodeid))}"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Return host and port of a local S3 server; in CI its absence is a failure, not a skip."""
    if not os.environ.get("DEXML_REQUIRE_COMPONENTS"):
        pytest.importorskip("moto.server")
    import moto.server

    server = moto.server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty folder in a bucket; child processes may use it too."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", endpoint_url=f"http://{s3}", region_name="us-east-1")
    client.create_bucket(Bucket="bars")
    place = _place(request)
    return f"s3://bars/{place}?endpoint_override={s3}&scheme=http&region=us-east-1"


@pytest.fixture(scope="session")
def gcs() -> Iterator[str]:
    """Return host and port of a local server that speaks Google's JSON API; as for `s3`."""
    if not os.environ.get("DEXML_REQUIRE_COMPONENTS"):
        pytest.importorskip("gcp_storage_emulator.server")
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bars")
    server.start()
    yield f"127.0.0.1:{server._api._httpd.socket.getsockname()[1]}"
    server.stop()


@pytest.fixture
def google_bucket(gcs: str, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty folder in a bucket of Google's."""
    place = _place(request)
    return f"gs://anonymous@bars/{place}?endpoint_override={gcs}&scheme=http"
