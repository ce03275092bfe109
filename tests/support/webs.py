"""A web server for tests: real HTTPS on loopback with a CA of its own, pages set by tests, every request kept."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from spectra.identity import x509
from tests.support import tls


class Site(NamedTuple):
    """What a path answers; `claims` is the Content-Length where it is not the body's. `stalls`: it sends the headers
    and body, and then nothing until the server ends; `trickles`: it never comes to an end of its headers.
    """

    body: bytes = b""
    media_type: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    claims: int | None = None
    stalls: bool = False
    trickles: bool = False


class Web:
    """Serves `sites` by path (with its query) from `with` on; `asked` has the paths in order. Its certificate is for
    `names`, of a CA whose roots are in the file `roots`.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ("localhost",)) -> None:
        self.authority = tls.authority(folder / "ca")
        self.roots = folder / "roots.pem"
        self.roots.write_text(x509.pem(*self.authority.roots))
        key = x509.new_key()
        request = x509.csr(key, names[0], names)
        issued = self.authority.issue(request, subject=names[0], dns=names, now=tls.now(), server=True)
        (folder / "tls.pem").write_bytes(issued.pem.encode() + x509.key_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.pem")
        self.trusted = tls.client_context(self.authority)
        self.sites: dict[str, Site] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"localhost:{self.port}"

    def url(self, path: str = "/") -> str:
        """Where a path is."""
        return f"https://{self.host}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that do not trust us, or go away, are part of the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.asked.append(self.path)
            web.headers.append({name.lower(): value for name, value in self.headers.items()})
            site = web.sites.get(self.path, Site(b"{}", status=404))
            self.send_response(site.status)
            self.send_header("content-type", site.media_type)
            self.send_header("content-length", str(len(site.body) if site.claims is None else site.claims))
            self.send_header("connection", "close")
            for name, value in site.headers:
                self.send_header(name, value)
            while site.trickles and not web.ended.wait(0.02):
                self.send_header("x-more", "x")
                self.flush_headers()
            self.end_headers()
            self.wfile.write(site.body)
            self.wfile.flush()
            if site.stalls:
                web.ended.wait(60)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on the terminal."""

    return Handler
