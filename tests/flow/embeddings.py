"""A fake embedder, on a real HTTP server that speaks `/v1/embeddings`: vectors follow from the words, by hashing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


class FakeEmbedder:
    """What it was asked, and how it answers. `fail` may answer in its place: given the number of the request (1...)."""

    def __init__(self, dims: int = 8) -> None:
        self.dims = dims
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.fail: Callable[[int], Answer | None] = lambda number: None
        self.url = ""
        self._lock = threading.Lock()

    @property
    def texts(self) -> list[str]:
        """All that it was asked for, in order, but for probes."""
        return [text for request in self.requests for text in request["input"] if text != "probe"]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """One answer."""
        with self._lock:
            self.requests.append({"path": path, **json.loads(body)})
            self.headers.append(headers)
            asked, number = self.requests[-1], len(self.requests)
        if (failure := self.fail(number)) is not None:
            return failure
        data = [
            {"object": "embedding", "index": i, "embedding": self.vector(asked["model"], text)}
            for i, text in enumerate(asked["input"])
        ]
        data.reverse()  # the order is not promised
        return 200, {"content-type": "application/json"}, json.dumps({"object": "list", "data": data}).encode()

    def vector(self, model: str, text: str) -> list[float]:
        """The sum of its words' vectors, which depend on the model's name."""
        total = [0.0] * self.dims
        for word in text.lower().split():
            digest = hashlib.sha256(f"{model} {word}".encode()).digest()
            total = [t + (digest[i % 32] - 127.5) / 127.5 for i, t in enumerate(total)]
        length = math.sqrt(sum(t * t for t in total)) or 1.0
        return [3 * t / length for t in total]


@contextlib.contextmanager
def serving(fake: FakeEmbedder) -> Generator[FakeEmbedder]:
    """The fake on a free loopback port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer."""
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers, content = fake.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have gone
                self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
