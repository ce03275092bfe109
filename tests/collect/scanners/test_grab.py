"""`grab`: learning what an open port is, on real listeners."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any

import pytest

from spectra.collect.scanners import grab
from spectra.model.envelope import Privacy
from tests.collect.scanners.conftest import Handler, TlsIdentity, answers, greets, page, ports_of, scan, serve


def look(handler: Handler, tls: ssl.SSLContext | None = None, **changes: Any) -> dict[str, Any]:
    """What the built-in scanner tells of one service."""

    async def main() -> dict[str, Any]:
        async with serve(handler, tls=tls) as port:
            return ports_of(await scan(str(port), **changes))[port]

    return asyncio.run(main())


def test_a_service_that_speaks_first_is_listened_to() -> None:
    """An SSH greeting gives product, version, CPE and banner, and no question is asked."""
    seen = look(greets(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\x00\x00binary"))
    assert seen["service"] == {
        "name": "ssh",
        "product": "OpenSSH",
        "version": "9.2p1",
        "extra": "Debian-2",
        "cpe": ["cpe:/a:openbsd:openssh:9.2p1"],
    }
    assert seen["banner"] == "SSH-2.0-OpenSSH_9.2p1 Debian-2"
    assert (seen["protocol"], seen["state"], seen["title"], seen["tls"]) == ("tcp", "open", "", None)


def test_a_silent_web_server_is_asked_for_its_page() -> None:
    """A GET with a Host header gets title and Server; the banner is the head without what changes."""
    heard: list[bytes] = []

    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(page("Hello &amp; welcome"))
        await reader.read()  # keeps the connection, as HTTP/1.1 allows

    seen = look(web, names={"127.0.0.1": ("www.example",)})
    assert heard[0].startswith(b"GET / HTTP/1.1\r\nHost: www.example:")
    assert (seen["service"]["product"], seen["service"]["version"], seen["title"]) == (
        "nginx",
        "1.24.0",
        "Hello & welcome",
    )
    assert seen["banner"] == "HTTP/1.1 200 OK\nServer: nginx/1.24.0 (Ubuntu)"


def test_tls_on_an_unusual_port_is_found(tls_identity: TlsIdentity) -> None:
    """A plain probe draws an alert, the handshake the certificate, and the page is read inside."""
    seen = look(answers({b"GET ": page("Inside")}), tls=tls_identity.context)
    assert base64.b64decode(seen["tls"]["certificate"]) == tls_identity.der
    assert seen["tls"]["version"].startswith("TLSv1.")
    assert (seen["service"]["name"], seen["title"]) == ("http", "Inside")


def test_tls_is_started_at_once_where_it_is_expected(
    tls_identity: TlsIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a TLS port the first bytes sent are a handshake, and a mail greeting inside is recognised."""

    async def main() -> dict[str, Any]:
        async with serve(greets(b"* OK Dovecot ready.\r\n"), tls=tls_identity.context) as port:
            monkeypatch.setattr(grab, "TLS_PORTS", frozenset({port}))
            return ports_of(await scan(str(port)))[port]

    seen = asyncio.run(main())
    assert seen["service"]["product"] == "Dovecot imapd"
    assert base64.b64decode(seen["tls"]["certificate"]) == tls_identity.der


def test_plain_text_on_a_tls_port_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSH on 443: the handshake fails, another connection listens."""

    async def main() -> dict[str, Any]:
        async with serve(greets(b"SSH-2.0-OpenSSH_9.2p1\r\n")) as port:
            monkeypatch.setattr(grab, "HTTPS_PORTS", frozenset({port}))
            return ports_of(await scan(str(port)))[port]

    seen = asyncio.run(main())
    assert (seen["service"]["name"], seen["tls"]) == ("ssh", None)


def test_web_ports_are_asked_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where HTTP is expected the GET is the first thing sent."""

    async def main() -> dict[str, Any]:
        async with serve(answers({b"GET ": page("At once")})) as port:
            monkeypatch.setattr(grab, "HTTP_PORTS", frozenset({port}))
            return ports_of(await scan(str(port), quiet_s=1.0))[port]

    assert asyncio.run(main())["title"] == "At once"


def test_redis_is_asked_only_after_silence() -> None:
    """A service that ignores a GET is asked PING and INFO, and tells its version."""
    info = b"+PONG\r\n$60\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nuptime_in_seconds:9\r\n"
    seen = look(answers({b"PING": info}))
    assert (seen["service"]["product"], seen["service"]["version"]) == ("Redis key-value store", "7.0.15")
    assert "uptime" not in seen["banner"]


def test_redis_that_answers_a_get_is_asked_for_its_version() -> None:
    """The error to a GET names the protocol; INFO names the version, and without a password nothing does."""
    error = b"-ERR wrong number of arguments for 'get' command\r\n"
    seen = look(answers({b"PING": b"+PONG\r\n$20\r\nredis_version:6.2.1\r\n"}, otherwise=error))
    assert seen["service"]["version"] == "6.2.1"
    locked = look(answers({}, otherwise=b"-NOAUTH Authentication required.\r\n"))
    assert (locked["service"]["name"], locked["service"]["version"]) == ("redis", "")


def test_memcached_is_asked_for_its_version() -> None:
    """`ERROR` to every line of a GET, then `version`."""
    seen = look(answers({b"version": b"VERSION 1.6.18\r\n"}, otherwise=b"ERROR\r\nERROR\r\n"))
    assert (seen["service"]["product"], seen["service"]["version"]) == ("Memcached", "1.6.18")


def test_postgresql_answers_its_own_question() -> None:
    """A service that is silent to all else and says `N` to an SSLRequest."""
    seen = look(answers({b"\x00\x00\x00\x08\x04\xd2\x16\x2f": b"N"}))
    assert seen["service"]["name"] == "postgresql"


def test_a_service_that_never_speaks_is_open_and_nothing_more() -> None:
    """Open, with nothing claimed about it."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass

    seen = look(mute, timeout_s=0.3)
    assert (seen["state"], seen["service"], seen["banner"], seen["tls"]) == ("open", None, "", None)


def test_meta_only_keeps_products_and_no_words(tls_identity: TlsIdentity) -> None:
    """Product and version stay; banner, title and certificate do not leave the scanner."""
    seen = look(answers({b"GET ": page("Secret")}), tls=tls_identity.context, privacy=Privacy.META_ONLY)
    assert (seen["banner"], seen["title"], seen["tls"]) == ("", "", None)
    assert (seen["service"]["product"], seen["service"]["version"]) == ("nginx", "1.24.0")
    spoken = look(greets(b"SSH-2.0-OpenSSH_9.2p1\r\n"), privacy=Privacy.META_ONLY)
    assert spoken["banner"] == ""


@pytest.mark.parametrize(
    "handler",
    [
        greets(b"\x00" * 100_000),
        greets(b"HTTP/1.1 200 OK\r\nServer: " + b"A" * 60_000),
        greets(b"\xff\xfe\x00\x1b[2J" * 1000),
        answers({}, otherwise=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n<title>x"),
        answers({}, otherwise=b"\x15\x03\x03"),
    ],
)
def test_hostile_answers_are_bounded(handler: Handler) -> None:
    """Floods, half protocols and control characters: the port is open and at most 2 KB of text is kept."""
    seen = look(handler, timeout_s=0.5)
    assert seen["state"] == "open"
    assert len(seen["banner"].encode()) <= 2048
    assert "\x1b" not in seen["banner"]


def test_a_service_that_drips_does_not_hold_the_scan() -> None:
    """A byte at a time for ever: the listening ends by the clock, not by the service."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert look(drip, timeout_s=0.3)["banner"].startswith("xx")
