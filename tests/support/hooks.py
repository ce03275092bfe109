"""A receiver of webhooks: a real HTTP server on loopback that keeps what it was sent."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Answers `status`, or nothing at all while it `stalls`; `got` is each request's path, fields and body."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.status = 204
        self.stalls = False
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                stalls = receiver.stalls
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, raw))
                if stalls:
                    receiver.ended.wait(60)
                    return
                self.send_response(receiver.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
