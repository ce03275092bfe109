"""HTTP/1.1 with a bound on the head of a request, in bytes and in time.

uvicorn bounds neither with httptools: a stranger could hold memory with endless header fields, and connections with
heads that never end ("slowloris"). Bodies are bounded in `bodies`, where the route knows how much it takes.

Who came over TLS is told to the app as ASGI's TLS extension has it (`extensions.tls` of the scope): uvicorn does not.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# As on the wire (RFC 5246 appendix E.1, RFC 8446 section 4.2.1).
_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class BoundedHttp(HttpToolsProtocol):
    """One connection. A head is the request line and all header fields."""

    max_head_bytes: ClassVar[int] = 64 * 1024
    """Beyond what came with the read in which the head began, which is at most 256 KiB."""

    head_timeout_s: ClassVar[float] = 30.0

    _in_head = False
    _began = False
    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None
    _tls: dict[object, object] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client is there: its first request has to begin and its head to end in time."""
        super().connection_made(transport)
        secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self._tls = None if secured is None else tls_extension(secured)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what belongs to an unfinished head."""
        self._began = False
        super().data_received(data)
        if self._in_head and not self._began:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._refuse("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._tls is not None:
            self.scope["extensions"] = {"tls": self._tls}
        self._in_head = self._began = True
        self._head_bytes = 0
        if self._late is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._late = self.loop.call_later(
            self.head_timeout_s, self._refuse, "The head of the request took too long to arrive."
        )

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, why: str) -> None:
        self._stop_waiting()
        if self._in_head and getattr(self.cycle, "response_complete", True):  # no cycle before the first request
            self.send_400_response(why)
        else:  # nothing was asked, or an earlier answer is under way
            self.transport.close()


def tls_extension(secured: ssl.SSLObject) -> dict[object, object]:
    """The members of ASGI's TLS extension. `client_cert_chain` holds the client's own certificate alone, in PEM form:
    the handshake has verified the rest, or there is none.
    """
    certificate = secured.getpeercert(binary_form=True)
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)] if certificate else [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(secured.version() or ""),
        "cipher_suite": None,
    }
