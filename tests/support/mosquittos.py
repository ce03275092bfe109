"""Debian's Mosquitto with mutual TLS, where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spectra.fabric.link import TlsFiles
from tests.support.meshcerts import TestAuthority
from tests.support.waiting import eventually


@dataclass
class Mosquitto:
    """A running broker, its port, and who makes certificates for it."""

    port: int
    authority: TestAuthority
    coordinator: TlsFiles
    process: subprocess.Popen[bytes]


def program() -> str:
    """Where Mosquitto is; skips where it is not."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    return found


@contextmanager
def mosquitto(folder: Path) -> Generator[Mosquitto]:
    """A broker that lets in who has a certificate, by its common name, and lets each speak for itself only."""
    found = program()
    authority = TestAuthority(folder / "nodes")
    files = authority.server()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    acl = folder / "acl"
    acl.write_text(
        "user coordinator\ntopic readwrite #\n"
        "pattern write spectra/presence/%u\npattern write spectra/reply/%u\n"
        "pattern read spectra/ctl/%u\npattern read spectra/all\n"
    )
    acl.chmod(0o600)
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\ncafile {files.roots}\ncertfile {files.cert}\nkeyfile {files.key}\n"
        "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\npersistence false\n"
        f"acl_file {acl}\n" + ("user root\n" if os.geteuid() == 0 else "")
    )
    with subprocess.Popen(
        [found, "-c", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: process.poll() is not None or _answers(port))
            assert process.poll() is None
            yield Mosquitto(port, authority, files, process)
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return False
    return True
