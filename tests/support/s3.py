"""An S3 for tests: moto's server stands in for a real one (SeaweedFS, AWS): it speaks the protocol, keeps nothing."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Generator

import httpx
import pytest

from spectra.settings import BlobSettings
from tests.support.waiting import eventually


@pytest.fixture(scope="session")
def s3_endpoint() -> Generator[str]:
    """URL of a server with an empty bucket `blobs`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _answers(url))
            httpx.put(f"{url}/blobs", timeout=10).raise_for_status()
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=5).is_success
    return False


def s3_settings(endpoint: str, url: str = "s3://blobs/prefix") -> BlobSettings:
    """Settings of a blob store there."""
    return BlobSettings.model_validate(
        {"url": url, "endpoint": endpoint, "access_key_id": "id", "secret_access_key": "secret"}
    )
