"""`talk`: what a failed connection means, and conversations that end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from ipaddress import ip_address

import pytest

from spectra.collect.scanners.pace import Outcome
from spectra.collect.scanners.talk import CannotConnect, Talk, any_tls, dial
from tests.collect.scanners.conftest import TlsIdentity, free_port, greets, serve

HERE = ip_address("127.0.0.1")


def test_refused_is_closed() -> None:
    """A port nobody listens on on a host that is there."""
    with pytest.raises(CannotConnect) as caught:
        asyncio.run(dial(HERE, free_port(), timeout_s=1))
    assert caught.value.outcome is Outcome.CLOSED


def test_no_time_is_filtered() -> None:
    """An attempt that outlives its time counts as silence."""
    with pytest.raises(CannotConnect) as caught:
        asyncio.run(dial(HERE, free_port(), timeout_s=0))
    assert caught.value.outcome is Outcome.FILTERED


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENETUNREACH, Outcome.LOCAL),
        (errno.EADDRNOTAVAIL, Outcome.LOCAL),
        (errno.EPERM, Outcome.LOCAL),
        (errno.EHOSTUNREACH, Outcome.FILTERED),
        (errno.ETIMEDOUT, Outcome.FILTERED),
        (errno.ECONNRESET, Outcome.CLOSED),
    ],
)
def test_other_errors_by_who_caused_them(number: int, expected: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own trouble is told from a router's and from a host's answer."""

    async def main() -> None:
        async def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
        with pytest.raises(CannotConnect) as caught:
            await dial(HERE, 1, timeout_s=1)
        assert caught.value.outcome is expected

    asyncio.run(main())


def test_an_interface_that_is_not_there_is_this_machines_trouble() -> None:
    """Binding to an unknown interface fails before a packet is sent."""
    with pytest.raises(CannotConnect) as caught:
        asyncio.run(dial(HERE, 1, timeout_s=1, interface="nosuch0"))
    assert caught.value.outcome is Outcome.LOCAL


def test_a_socket_connected_with_itself_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP's simultaneous open on one port of loopback looks like an open port, and is none."""

    async def main() -> None:
        loop, port = asyncio.get_running_loop(), free_port()
        connect = loop.sock_connect

        async def from_the_same_port(sock: socket.socket, address: tuple[str, int]) -> None:
            sock.bind(address)  # what the kernel's choice of an ephemeral port does now and then
            await connect(sock, address)

        monkeypatch.setattr(loop, "sock_connect", from_the_same_port)
        with pytest.raises(CannotConnect) as caught:
            await dial(HERE, port, timeout_s=1)
        assert caught.value.outcome is Outcome.CLOSED

    asyncio.run(main())


def test_listening_is_bounded_and_says_when_tls_is_not_spoken(tls_identity: TlsIdentity) -> None:
    """`hear` stops at its limit; `secure` is False for plain text and True, with certificate and version, for TLS."""

    async def main() -> None:
        async with serve(greets(b"x" * 5000)) as port:
            async with await Talk.over(await dial(HERE, port, timeout_s=1)) as talk:
                assert len(await talk.hear(1, limit=100)) == 100
                assert (talk.certificate(), talk.tls_version()) == (b"", "")
            async with await Talk.over(await dial(HERE, port, timeout_s=1)) as talk:
                assert not await talk.secure(any_tls(), "", 1)
        secured = serve(greets(b"hello"), tls=tls_identity.context)
        async with secured as port, await Talk.over(await dial(HERE, port, timeout_s=1)) as talk:
            assert await talk.secure(any_tls(), "scan.example", 5)
            assert talk.certificate() == tls_identity.der
            assert talk.tls_version() == "TLSv1.3"
            assert await talk.hear(1, limit=100) == b"hello"

    asyncio.run(main())


def test_talking_to_one_who_left_is_no_error() -> None:
    """Words to a closed connection go nowhere, and what is heard is empty."""

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def main() -> None:
        async with serve(leave) as port, await Talk.over(await dial(HERE, port, timeout_s=1)) as talk:
            assert await talk.hear(1, limit=10) == b""
            await talk.say(b"x" * 1_000_000, 1)
            await talk.say(b"x", 1)

    asyncio.run(main())
