"""The lab's small servers hold conversations, plain and inside TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import pytest

from spectra.bench import labserver
from spectra.bench.labwords import WORDS
from tests.collect.scanners.conftest import serve


def test_who_is_spoken_to_answers_by_the_beginning() -> None:
    """Replies by how the words begin; HTTP ends after its page, a greeting stays."""

    async def main() -> None:
        async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await labserver.speak(WORDS["nginx"], reader, writer)

        async with serve(web) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            heard = await reader.read()
            writer.close()
        assert heard.startswith(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n")

    asyncio.run(asyncio.wait_for(main(), 30))
    assert labserver.answer(WORDS["memcached"], b"version\r\n") == b"VERSION 1.6.18\r\n"
    assert labserver.answer(WORDS["openssh"], b"anything") == b""


def test_inside_tls_a_failed_handshake_is_answered_with_an_alert() -> None:
    """Which is how scanners see that a port speaks TLS; a good one hears the greeting."""
    context = labserver.identity()
    for hello, begins in ((b"\x16\x03\0\0\x05\x01\0\0\x01\0", b"\x15\x03"), (b"", b"* OK")):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=labserver.speak_inside, args=(theirs, WORDS["dovecot-imaps"], context))
        thread.start()
        ours.settimeout(30)
        with ours:
            if hello:
                ours.sendall(hello)
                assert ours.recv(100).startswith(begins)
            else:
                client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
                with client.wrap_socket(ours, server_hostname=labserver.NAME) as inside:
                    assert inside.recv(100).startswith(begins)
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("name", sorted(WORDS))
def test_every_small_server_says_something(name: str) -> None:
    """First, or to somebody who speaks."""
    words = WORDS[name]
    assert words.greeting or words.replies or words.otherwise
