"""Real services on loopback for the scanners to find."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from spectra.collect.consent import Consent
from spectra.collect.netset import NetSet
from spectra.collect.ports import parse_ports
from spectra.collect.scanners.base import Progress, RawOutput, ScanRequest
from spectra.collect.scanners.connect import ConnectScanner
from spectra.collect.scope import Scope
from spectra.collect.targets import TargetSet, parse_targets
from spectra.model.envelope import Privacy

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class TlsIdentity:
    """A server's TLS context and the DER form of its certificate."""

    context: ssl.SSLContext
    der: bytes


@pytest.fixture(scope="session")
def tls_identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    """A self-signed certificate for `scan.example`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scan.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("tls")
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return TlsIdentity(context, certificate.public_bytes(serialization.Encoding.DER))


def greets(greeting: bytes) -> Handler:
    """A service that speaks first and then listens."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    return handle


def answers(replies: dict[bytes, bytes], *, otherwise: bytes = b"", then_close: bool = True) -> Handler:
    """A service that waits, and replies by how the first words it hears begin."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = await reader.read(4096)
        writer.write(next((reply for start, reply in replies.items() if heard.startswith(start)), otherwise))
        await writer.drain()
        if not then_close:
            await reader.read()

    return handle


def page(title: str, *, server: str = "nginx/1.24.0 (Ubuntu)", extra: str = "") -> bytes:
    """An HTTP answer with a page."""
    body = f"<html><head><title>{title}</title></head></html>".encode()
    head = f"HTTP/1.1 200 OK\r\nServer: {server}\r\nDate: now\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


@asynccontextmanager
async def serve(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """Serve `handler` on a free port of `host`; yields the port. Connections are cut at the end."""
    writers: set[asyncio.StreamWriter] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.add(writer)
        with suppress(OSError):
            await handler(reader, writer)
        writers.discard(writer)
        if not writer.is_closing():
            writer.close()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` on which nothing listens."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        return server.getsockname()[1]


def permit(*allow: str) -> Scope:
    """A scope that allows `allow` and loopback, with consent for an hour."""
    granted = datetime.now(UTC) - timedelta(seconds=1)
    consent = Consent((*LOOPBACK, *allow), "tests", "loopback", granted, granted + timedelta(hours=1))
    return Scope(allow=(*LOOPBACK, *allow), consents=[consent])


def request(ports: str, *words: str, names: dict[str, tuple[str, ...]] | None = None, **changes: Any) -> ScanRequest:
    """A request for `ports` of the given targets (loopback by default)."""
    addresses = NetSet.union(target.addresses for target in parse_targets(words or ("127.0.0.1",)))
    known = {ip: kept for ip in addresses if (kept := (names or {}).get(str(ip)))} if names else {}
    values: dict[str, Any] = {"scope": permit(), "timeout_s": 1.0, "privacy": Privacy.FULL, **changes}
    return ScanRequest(targets=TargetSet(addresses, known), ports=parse_ports(ports), **values)


async def scan(ports: str, *words: str, quiet_s: float = 0.3, **changes: Any) -> RawOutput:
    """A run of the built-in scanner that waits only shortly for services to speak."""
    return await ConnectScanner(quiet_s=quiet_s).scan(request(ports, *words, **changes), ignore)


def ignore(progress: Progress) -> None:
    """A progress callback for tests that do not look at it."""
    assert 0 <= progress.fraction <= 1


def lines(raw: RawOutput) -> list[dict[str, Any]]:
    """The output's lines as objects; each must be JSON by itself."""
    return [msgspec.json.decode(line) for line in raw.data.splitlines()]


def hosts(raw: RawOutput) -> dict[str, dict[str, Any]]:
    """The host lines by address."""
    return {line["ip"]: line for line in lines(raw) if "ip" in line}


def ports_of(raw: RawOutput, ip: str = "127.0.0.1") -> dict[int, dict[str, Any]]:
    """The open ports of one host."""
    return {port["port"]: port for port in hosts(raw)[ip]["ports"]}


async def scan_apart(ports: str, *words: str, files: int = 0, namespace: str = "") -> RawOutput:
    """A run in a process of its own: with few file descriptors, or in a network namespace."""
    module = ["-m", "tests.collect.scanners.apart", ports, str(files), *words]
    enter = ["ip", "netns", "exec", namespace] if namespace else []
    process = await asyncio.create_subprocess_exec(
        *enter, sys.executable, *module, cwd=Path(__file__).parents[3], stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        told, _ = await process.communicate()
    assert process.returncode == 0
    return msgspec.json.decode(told, type=RawOutput)
