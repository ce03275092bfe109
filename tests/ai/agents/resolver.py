"""A real dnsmasq with a resolver behind it that knows some names, and a client that asks."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.waiting import eventually

TYPES: Final = {"A": 1, "TXT": 16, "NULL": 10, "AAAA": 28}
_HEAD: Final = struct.Struct("!6H")


class Upstream:
    """Answers A of the names it knows, and NXDOMAIN for all others."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            if not raw:
                return
            self._socket.sendto(self._answer(raw), sender)

    def _answer(self, raw: bytes) -> bytes:
        name, end = _name(raw)
        question = raw[12 : end + 4]
        (kind,) = struct.unpack("!H", raw[end : end + 2])
        ip = self._known.get(name, "")
        flags, count = (0x8180, int(kind == TYPES["A"])) if ip else (0x8183, 0)
        head = _HEAD.pack(struct.unpack("!H", raw[:2])[0], flags, 1, count, 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(ip) if count else b""
        return head + question + record

    def close(self) -> None:
        """End."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


def _name(raw: bytes) -> tuple[str, int]:
    labels: list[str] = []
    at = 12
    while raw[at]:
        labels.append(raw[at + 1 : at + 1 + raw[at]].decode("latin-1"))
        at += 1 + raw[at]
    return ".".join(labels).lower(), at + 1


def ask(port: int, names: Sequence[tuple[str, str]], source: str = "127.0.0.1") -> None:
    """Ask for each name and type, one after the other, and wait for each answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        for number, (name, kind) in enumerate(names):
            labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
            client.send(
                _HEAD.pack(number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)
            )
            client.recv(4096)


@contextmanager
def dnsmasq(folder: Path, known: Mapping[str, str]) -> Generator[tuple[int, Path]]:
    """Its port and its log; skips where there is no dnsmasq."""
    binary = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin:/sbin")
    if binary is None:
        pytest.skip("there is no dnsmasq")
    upstream, log = Upstream(known), folder / "dnsmasq.log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = f"--port={port} --listen-address=127.0.0.1 --bind-interfaces --no-hosts --no-resolv --cache-size=0"
    process = subprocess.Popen(
        [
            *(binary, "--keep-in-foreground", *words.split(), "--conf-file=/dev/null", f"--pid-file={folder}/pid"),
            *("--log-queries=extra", f"--log-facility={log}", f"--server=127.0.0.1#{upstream.port}", "--user="),
            "--dns-forward-max=500",
        ]
    )
    try:
        eventually(lambda: log.is_file() and b"started" in log.read_bytes())
        yield port, log
    finally:
        process.terminate()
        process.wait(10)
        upstream.close()
