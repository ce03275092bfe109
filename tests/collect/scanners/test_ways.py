"""`ways`: connections through SOCKS servers that answer in every way RFC 1928 knows, and through none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import Any

import pytest

from spectra.collect.relays import parse_relay
from spectra.collect.scanners.pace import Outcome
from spectra.collect.scanners.talk import CannotConnect
from spectra.collect.scanners.ways import Door, RelayBroken, answering
from tests.collect.scanners.conftest import Handler, free_port, greets, request, serve

HERE = ip_address("127.0.0.1")


def proxy(reply: int, *, login: bytes = b"") -> Handler:
    """A SOCKS5 server of the tests' own that answers every CONNECT with one code, and then talks for the target."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        assert version == 5
        writer.write(b"\x05\x02" if login else b"\x05\0")
        if login:
            assert 2 in methods
            heard = await reader.readexactly(len(login))
            writer.write(b"\x01\0" if heard == login else b"\x01\x01")
        asked = await reader.readexactly(10)
        assert asked[:4] == b"\x05\x01\0\x01"
        writer.write(bytes((5, reply, 0, 1)) + bytes(6))
        if reply == 0:
            writer.write(b"through")
            await reader.read()

    return handle


def run(main: Coroutine[Any, Any, None]) -> None:
    """To its end, within bounds."""
    asyncio.run(asyncio.wait_for(main, 60))


async def dialled(handler: Handler, *, login: str = "", timeout_s: float = 5.0) -> bytes:
    """The first bytes heard from a target by a relay."""
    async with serve(handler) as port:
        door = Door(parse_relay(f"socks5://{login}127.0.0.1:{port}"))
        sock = await door.dial(ip_address("192.0.2.1"), 80, timeout_s=timeout_s)
        try:
            return await asyncio.get_running_loop().sock_recv(sock, 100)
        finally:
            sock.close()


def test_a_target_is_reached_through_a_relay() -> None:
    """Without and with a password (RFC 1929)."""

    async def main() -> None:
        assert await dialled(proxy(0)) == b"through"
        login = b"\x01\x04user\x06secret"
        assert await dialled(proxy(0, login=login), login="user:secret@") == b"through"

    run(main())


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (5, Outcome.CLOSED),
        (1, Outcome.FILTERED),
        (3, Outcome.FILTERED),
        (4, Outcome.FILTERED),
        (6, Outcome.FILTERED),
        (2, Outcome.LOCAL),
        (7, Outcome.LOCAL),
        (8, Outcome.LOCAL),
    ],
)
def test_what_a_relay_says_of_a_target(code: int, outcome: Outcome) -> None:
    """Refused is closed, unreachable is filtered; what it will not do tells nothing of the target."""

    async def main() -> None:
        with pytest.raises(CannotConnect) as caught:
            await dialled(proxy(code))
        assert caught.value.outcome is outcome
        assert isinstance(caught.value, RelayBroken) == (outcome is Outcome.LOCAL)

    run(main())


def test_a_relay_that_does_not_work_is_told_from_a_silent_target() -> None:
    """Nobody there, a wrong password, another protocol, an end in the middle: the relay. Silence then: the target."""

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(b"\x05\0")
        await reader.read()

    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)

    async def main() -> None:
        gone = Door(parse_relay(f"socks5://127.0.0.1:{free_port()}"))
        with pytest.raises(RelayBroken):
            await gone.dial(HERE, 80, timeout_s=5)
        nameless = Door(parse_relay("socks5://nowhere.invalid:1080"))
        with pytest.raises(RelayBroken):
            await nameless.dial(HERE, 80, timeout_s=5)
        for handler in (ends, greets(b"HTTP/1.1 400 Bad Request\r\n\r\n"), proxy(0, login=b"\x01\x04user\x05right")):
            with pytest.raises(RelayBroken):
                await dialled(handler, login="user:wrong@")
        with pytest.raises(CannotConnect) as caught:
            await dialled(hangs, timeout_s=0.1)
        assert caught.value.outcome is Outcome.FILTERED

    run(main())


def test_a_refusal_is_an_answer_as_well() -> None:
    """What is asked twice is open or closed ports; silent ones are those from which nothing came."""

    async def main() -> None:
        async with serve(greets(b"hello\r\n")) as port:
            asked = [(HERE, port), (HERE, free_port())]
            assert await answering(asked, Door(parse_relay("direct")), request(str(port))) == set(asked)

    run(main())


def test_every_attempt_at_comparing_waits_for_its_turn() -> None:
    """The rate of a scan holds for what is asked twice as well; what answers is asked once."""
    turns: list[None] = []

    async def turn() -> None:
        turns.append(None)

    async def main() -> None:
        async with serve(greets(b"hello\r\n")) as port:
            door, asked = Door(parse_relay("direct")), [(HERE, port), (HERE, free_port())]
            await answering(asked, door, request(str(port)), turn)
            assert len(turns) == 2
            gone = Door(parse_relay(f"socks5://127.0.0.1:{free_port()}"))
            assert await answering(asked, gone, request(str(port)), turn) == set()
            assert len(turns) == 6

    run(main())
