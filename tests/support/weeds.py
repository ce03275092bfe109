"""SeaweedFS itself: one `weed server` with its S3, where `scripts/install_go_tools.py` put it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from spectra.settings import BlobSettings
from tests.support.steps import program
from tests.support.waiting import eventually

BUCKET: Final = "blobs"
KEY: Final = "weed-key"
SECRET: Final = "weed-secret"
_GRPC: Final = 10_000  # SeaweedFS adds this to a port for its internal interface


class Weed:
    """A server on a folder, from `start` to `kill`: what it acknowledged is there again after the next start."""

    def __init__(self, folder: Path) -> None:
        self._program = program("weed", "install_go_tools.py")
        self._folder = folder
        self._ports = _ports(4)
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def endpoint(self) -> str:
        """URL of its S3."""
        return f"http://127.0.0.1:{self._ports[3]}"

    def start(self) -> None:
        """Start it and wait until what is written to its bucket can be read."""
        master, volume, filer, s3 = self._ports
        options = [
            *("-dir=data", "-ip=127.0.0.1", f"-master.port={master}", "-master.telemetry=false"),
            *(f"-volume.port={volume}", "-volume.max=8", "-master.volumeSizeLimitMB=64"),
            *("-filer", f"-filer.port={filer}", "-filer.localSocket=filer.sock"),
            *("-s3", f"-s3.port={s3}", "-s3.config=s3.json", "-s3.iam=false"),
        ]
        with (self._folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-logtostderr=true", "server", *options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env={"HOME": str(self._folder), "TMPDIR": str(self._folder), "PATH": "/usr/bin:/bin"},
            )
        eventually(self._keeps)

    def kill(self) -> None:
        """SIGKILL, as a machine that goes down."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def settings(self, prefix: str) -> BlobSettings:
        """Settings of a blob store there."""
        return BlobSettings.model_validate(
            {
                "url": f"s3://{BUCKET}/{prefix}",
                "endpoint": self.endpoint,
                "access_key_id": KEY,
                "secret_access_key": SECRET,
            }
        )

    def store(self, prefix: str = "") -> S3Store:
        """A client of its bucket that is not Spectra's."""
        return S3Store(
            BUCKET,
            prefix=prefix or None,
            endpoint=self.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": "5s"},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        )

    def _keeps(self) -> bool:
        """Whether a write is answered; the first one makes the bucket."""
        assert self.process is not None
        assert self.process.poll() is None, (self._folder / "weed.log").read_text()[-2000:]
        with contextlib.suppress(BaseError, httpx.TransportError):
            obstore.put(self.store(), "ready", b"yes")
            return True
        return False


@contextlib.contextmanager
def weed(folder: Path) -> Generator[Weed]:
    """A running server; skips the test where it is not installed."""
    server = Weed(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Generator[Weed]:
    """One server for a session."""
    with weed(tmp_path_factory.mktemp("weed") / "server") as server:
        yield server


def _ports(count: int) -> list[int]:
    """Free ports whose internal ones are free, too."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            with contextlib.suppress(OSError):
                low = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                if low + _GRPC > 65535:
                    low -= 20_000
                    held.enter_context(socket.create_server(("127.0.0.1", low)))
                held.enter_context(socket.create_server(("127.0.0.1", low + _GRPC)))
                found.append(low)
            if len(found) == count:
                return found
    raise AssertionError("no free ports")
