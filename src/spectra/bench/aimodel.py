"""A model's server for the benchmark, in a process of its own: it answers at once, or never.

It speaks OpenAI's protocol as far as one answer goes: to a request for JSON with a summary that cites the first fact,
to any other with the last message.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

import msgspec

from spectra.errors import SpectraError

Mode = Literal["well", "silent"]

_SENTENCE: Final = {"says": "It is what the facts say.", "cites": ["F1"]}
SUMMARY: Final = msgspec.json.encode({"summary": [_SENTENCE], "risks": [], "next_steps": [_SENTENCE]}).decode()
_STOP_S: Final = 10.0
_LONGEST_S: Final = 600.0
_MAX_BYTES: Final = 16 * 1024 * 1024


@contextlib.contextmanager
def answering(mode: Mode) -> Generator[str]:
    """The base URL (`http://127.0.0.1:port/v1`) of such a server, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spectra.bench.aimodel", mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().decode().strip()
        if not url:
            raise SpectraError("The model's server of the benchmark did not start.", reason="bench")
        yield url
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def reply(asked: dict[str, Any]) -> bytes:
    """The answer to one request."""
    text = SUMMARY if "response_format" in asked else str(asked["messages"][-1]["content"])
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}
    return msgspec.json.encode(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "bench", "choices": [choice], "usage": usage}
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    silent = False

    def do_POST(self) -> None:
        """Answer, or say nothing for as long as somebody could wait."""
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _MAX_BYTES))
        if self.silent:
            threading.Event().wait(_LONGEST_S)
            return
        said = reply(msgspec.json.decode(body))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(mode: str) -> None:
    """Serve until the standard input ends."""
    handler = type("Handler", (_Handler,), {"silent": mode == "silent"})
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
        sys.stdin.buffer.read()
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
