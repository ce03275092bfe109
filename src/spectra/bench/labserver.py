"""The small servers of the lab in one process: `python -m spectra.bench.labserver`, told what to serve on standard
input as a JSON array of [address, port, name of `labwords.WORDS`]; says `up` when all of it is served.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from spectra.bench.labwords import WORDS, Words

NAME: Final = "lab.example"
_PATIENCE_S: Final = 60.0
_HEARD: Final = 4096

Place = tuple[str, int, str]


def main() -> None:
    """Serve until standard input ends."""
    places = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Place])
    asyncio.run(_serve(places))


async def _serve(places: Sequence[Place]) -> None:
    secure = identity()
    for address, port, name in places:
        words = WORDS[name]
        if words.tls:
            server = socket.create_server((address, port), backlog=512)
            threading.Thread(target=_accept, args=(server, words, secure), daemon=True).start()
        else:
            await asyncio.start_server(partial(speak, words), address, port, backlog=512)
    print("up", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


async def speak(words: Words, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One conversation."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            writer.write(words.greeting)
            while heard := await reader.read(_HEARD):
                reply = answer(words, heard)
                writer.write(reply)
                await writer.drain()
                if ends(reply):
                    break
    writer.close()


def answer(words: Words, heard: bytes) -> bytes:
    """What is said to that."""
    return next((reply for start, reply in words.replies if heard.startswith(start)), words.otherwise)


def ends(reply: bytes) -> bool:
    """Whether the conversation is over after this: HTTP's `Connection: close`, PostgreSQL's FATAL."""
    return reply.startswith((b"HTTP/", b"E\0\0\0"))


def _accept(server: socket.socket, words: Words, secure: ssl.SSLContext) -> None:
    while True:
        threading.Thread(target=speak_inside, args=(server.accept()[0], words, secure), daemon=True).start()


def speak_inside(sock: socket.socket, words: Words, secure: ssl.SSLContext) -> None:
    """One conversation inside TLS. On a socket that blocks: there OpenSSL tells its peer by an alert why a handshake
    failed, as every real server does; asyncio hangs up without a word.
    """
    with suppress(OSError), sock:
        sock.settimeout(_PATIENCE_S)
        with secure.wrap_socket(sock, server_side=True) as inside:
            inside.sendall(words.greeting)
            while heard := inside.recv(_HEARD):
                reply = answer(words, heard)
                inside.sendall(reply)
                if ends(reply):
                    inside.unwrap()
                    break


def identity() -> ssl.SSLContext:
    """A context with a certificate of its own making for `lab.example`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + timedelta(days=90)).sign(key, hashes.SHA256())
    words = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="spectra-lab-") as folder:
        pem = Path(folder, "server.pem")
        pem.write_bytes(key.private_bytes(*words) + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(pem)
    return context


if __name__ == "__main__":
    main()
