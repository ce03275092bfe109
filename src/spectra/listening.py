"""Listening sockets: opened before any engine, so that a taken port fails at once and clearly."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from spectra.errors import SetupError

BACKLOG: Final = 512
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens everywhere is reached here


@contextmanager
def listening(host: str, port: int, *, hint: str) -> Generator[socket.socket]:
    """A socket that listens on `host` and `port` until the block ends. Raises `SetupError` with `hint`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Listening, not only bound: with SO_REUSEADDR two may bind the same port until one of them listens.
            listener.listen(BACKLOG)
        except OSError as error:
            raise SetupError(
                f"Cannot listen on {host}:{port}: {error.strerror}.",
                reason="cannot_listen",
                hint=f"Another program uses it? {hint}",
            ) from error
        yield listener
    finally:
        listener.close()


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens on `port` now."""
    try:
        with listening(host, port, hint=""):
            return True
    except SetupError:
        return False


def reachable(host: str) -> str:
    """Where a client on this machine connects to what listens on `host`."""
    return _EVERY.get(host, host)


def port_of(listener: socket.socket) -> int:
    """The port that it listens on."""
    return listener.getsockname()[1]


def url_of(scheme: str, host: str, port: int) -> str:
    """`scheme://host:port`, an IPv6 address in brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
