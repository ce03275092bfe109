"""A stand-in for the API server: a real HTTP server on loopback that speaks the contract, with answers set by tests."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.model.envelope import Counts, Payload, Problem, Receipt

TOKEN = "spk_" + "t" * 43
RECEIVED = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)


@dataclass
class Request:
    """One call as the server got it."""

    method: str
    path: str
    params: dict[str, str]
    body: bytes
    token: str
    key: str = ""
    """What names the call, so that it is one however often it is sent."""


@dataclass
class Answer:
    """One answer; `chunks` are sent one by one, `cut` breaks the connection after them."""

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


def problem(status: int, detail: str, **members: Any) -> Answer:
    """A problem+json answer; `retry_after` becomes the header."""
    headers = {"content-type": "application/problem+json"}
    if "retry_after" in members:
        headers["retry-after"] = str(members.pop("retry_after"))
    body = {"type": "urn:spectra:problem:x", "title": "Problem", "status": status, "detail": detail, **members}
    return Answer(status, (msgspec.json.encode(body),), headers)


class StandIn:
    """Answers set by a test (`say`), in order, the last one for ever; without any, submissions are taken for good."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self.requests: list[Request] = []
        self.submitted: list[Payload] = []
        self.outputs: list[bytes] = []
        self._answers: dict[tuple[str, str], deque[Answer]] = {}
        self._lock = threading.Lock()

    def say(self, method: str, path: str, *answers: Any) -> None:
        """Answer `method path` with each of `answers` in turn; what is no `Answer` is sent as JSON."""
        made = (a if isinstance(a, Answer) else Answer(200, (msgspec.json.encode(a),)) for a in answers)
        self._answers[method, path] = deque(made)

    def asked(self, path: str) -> list[Request]:
        """The requests for a path so far."""
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> Answer:
        """The answer to one request."""
        with self._lock:
            self.requests.append(request)
            said = self._answers.get((request.method, request.path))
            if said:
                return said.popleft() if len(said) > 1 else said[0]
            if request.path in ("/v0/mesh/ingest", "/v0/ingest"):
                return self._submission(request)
            if request.path == "/v0/observations/known":
                return self._known(request)
        return problem(404, f"there is no {request.path}", reason="no_such_path")

    def _submission(self, request: Request) -> Answer:
        opened = dsse.decode(request.body)
        if not dsse.verify(self.key.public, opened.signatures[0].sig, opened.payload):
            return problem(401, "the signature does not hold", reason="bad_signature")
        said = payload.decode(opened.payload)
        self.submitted.append(said)
        self.outputs.append(decompressed(said))
        status = "merged" if request.path == "/v0/mesh/ingest" else "accepted"
        flow = "" if status == "merged" else "wf-1"
        counts = Counts(hosts=3, endpoints=7, hostnames=1, problems=1) if status == "merged" else Counts()
        lines = (Problem("not an address", line=4, field="ip"),) if status == "merged" else ()
        receipt = Receipt(payload.observation_id(opened.payload), status, RECEIVED, "naabu_jsonl", counts, lines)
        return Answer(200, (msgspec.json.encode(msgspec.structs.replace(receipt, workflow_id=flow)),))

    def _known(self, request: Request) -> Answer:
        had = {said.output.sha256: f"obs-{index}" for index, said in enumerate(self.submitted)}
        wanted = msgspec.json.decode(request.body)["output_sha256"]
        return Answer(200, (msgspec.json.encode({"known": {sha: had[sha] for sha in wanted if sha in had}}),))


def decompressed(said: Payload) -> bytes:
    """The tool's output inside a payload."""
    import zstandard

    return zstandard.ZstdDecompressor().decompress(said.output.data, max_output_size=max(said.output.size, 1))


class _Quiet(ThreadingHTTPServer):
    """Clients that go away are part of the tests; other errors are told."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of an error in a handler."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(server: StandIn) -> Generator[str]:
    """The URL at which `server` answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_PUT(self) -> None:
            self._handle()

        def do_PATCH(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on the terminal."""

        def _handle(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:  # a client that was interrupted while it sent
                self.close_connection = True
                return
            params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            key = self.headers.get("idempotency-key") or ""
            answer = server.answer(Request(self.command, url.path, params, body, token, key))
            if answer.cut and not answer.chunks:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a client that has read enough goes away
                self._body(answer)

        def _body(self, answer: Answer) -> None:
            for chunk in answer.chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if answer.cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

    httpd = _Quiet(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
