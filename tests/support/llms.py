"""Language models for tests: llama.cpp's own server with a tiny random model, and one that fails in every way.

`FaultyModel` is a real HTTP server on loopback that speaks the four protocols of the six providers (OpenAI's, which
LocalAI, Ollama, Mistral and xAI speak, Anthropic's and Gemini's), says what a test scripted, and keeps the bytes of
every request.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec

from tests.support.llmshapes import Reply, Shape, shape_of

__all__ = ["FaultyModel", "LlamaServer", "Mode", "Reply", "Seen", "tiny_gguf"]

Mode = Literal[
    "echo",
    "scripted",
    "slow",
    "dead",
    "rate_limited",
    "broken",
    "refusing",
    "forbidden",
    "garbage",
    "wrong_schema",
    "half_stream",
    "stalled_stream",
    "endless",
    "no_json_schema",
]
"""`slow` takes the request and says nothing until `free` is called; `dead` takes it and closes the connection;
`rate_limited` 429 with Retry-After: 7; `broken` 503; `refusing` 400; `forbidden` 401; `garbage` 200 with what is no
JSON; `wrong_schema` 200 with JSON of another kind; `half_stream` breaks off after `whole_pieces` pieces;
`stalled_stream` says nothing more after them; `endless` streams until the client goes; `no_json_schema` is `echo` but
refuses a `response_format` of `json_schema` with 400, as older servers do.
"""
_LONGEST_S: Final = 60.0


class Seen(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, read."""
        return msgspec.json.decode(self.body)


class FaultyModel:
    """A server of models, from `with` on. `mode` may be changed at any time; `script` is used up first to last.

    `echo` answers with the last user's text, or, where `call` names one of the tools it is told of, calls that with
    `{"text": <the last user's text>}`. Streams come in pieces of `piece` characters.
    """

    def __init__(self, mode: Mode = "echo", *, piece: int = 5, address: str = "127.0.0.1") -> None:
        self.mode: Mode = mode
        self.address = address
        self.piece = piece
        self.call = ""
        self.whole_pieces = 2
        self.requests: list[Seen] = []
        self.script: deque[Reply | Callable[[Seen], Reply]] = deque()
        self.arrived = threading.Semaphore(0)
        """Released once for each request."""
        self.gone = threading.Event()
        """Set when a client went away in the middle of a stream."""
        self.freed = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:port`: the base for Anthropic and Gemini."""
        assert self._server is not None
        return f"http://{self.address}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The base of the protocol of OpenAI, with `/v1`."""
        return f"{self.origin}/v1"

    @property
    def bytes(self) -> bytes:
        """All that was said to it: bodies, paths and headers."""
        seen = [(s.path.encode(), *(f"{k}: {v}".encode() for k, v in s.headers.items()), s.body) for s in self.requests]
        return b"\n".join(part for one in seen for part in one)

    def say(self, text: str = "", *, calls: Sequence[tuple[str, object]] = (), finish: str = "") -> None:
        """Let the next answer be this: a text, calls of tools with their arguments, or both."""
        self.script.append(Reply(text, tuple(calls), finish))
        self.mode = "scripted"

    def free(self) -> None:
        """Let those who wait go."""
        self.freed.set()

    def __enter__(self) -> Self:
        self._server = _Server((self.address, 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End: connections are refused from then on."""
        self.freed.set()
        if self._server is not None and self._thread is not None and self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)

    def reply_to(self, seen: Seen, shape: Shape) -> Reply:
        """What is answered to a request that is answered well."""
        if self.mode == "scripted" and self.script:
            next_one = self.script.popleft()
            return next_one if isinstance(next_one, Reply) else next_one(seen)
        said = shape.said(seen.json)
        if self.call and self.call in shape.tools(seen.json):
            return Reply("", ((self.call, {"text": said}),))
        return Reply(said)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    model: FaultyModel

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away in the middle: nothing is said of it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """The list of models."""
        self._json(200, {"object": "list", "data": [{"id": "faulty", "object": "model", "owned_by": "tests"}]})

    def do_POST(self) -> None:
        """A request to a model."""
        model = self.server.model
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen = Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        model.requests.append(seen)
        model.arrived.release()
        with contextlib.suppress(ConnectionError, TimeoutError):
            if not self._fault(model, seen):
                self._well(model, seen)

    def _fault(self, model: FaultyModel, seen: Seen) -> bool:
        answers: dict[Mode, tuple[int, object]] = {
            "rate_limited": (429, {"error": {"message": "slow down", "type": "rate_limit"}}),
            "broken": (503, {"error": {"message": "loading", "type": "unavailable"}}),
            "refusing": (400, {"error": {"message": "context length exceeded", "type": "invalid_request_error"}}),
            "forbidden": (401, {"error": {"message": "no such key", "type": "authentication_error"}}),
            "wrong_schema": (200, {"weather": ["sunny"], "choices": 7, "content": "x", "candidates": "y", "data": 1}),
        }
        if model.mode == "slow":
            model.freed.wait(_LONGEST_S)
        if model.mode in ("slow", "dead"):
            self.close_connection = True
        elif model.mode == "garbage":
            self._bytes(200, b"\x00<html>not json", "application/json")
        elif model.mode in answers:
            self._json(*answers[model.mode])
        elif model.mode == "no_json_schema" and b'"json_schema"' in seen.body:
            self._json(400, {"error": {"message": "response_format json_schema is not supported", "type": "invalid"}})
        else:
            return False
        return True

    def _well(self, model: FaultyModel, seen: Seen) -> None:
        shape = shape_of(self.path)
        if shape.embeds(self.path):
            self._json(200, shape.vectors(seen.json))
            return
        reply = model.reply_to(seen, shape)
        if not shape.streams(self.path, seen.json):
            self._json(200, shape.whole(reply))
            return
        self._stream(model, shape, seen, reply)

    def _stream(self, model: FaultyModel, shape: Shape, seen: Seen, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        faulty = model.mode in ("half_stream", "stalled_stream")
        events = shape.events(seen.json, reply, model.piece)
        try:
            if model.mode == "endless":
                self._endless(shape, seen)
                return
            for number, event in enumerate(events):
                if faulty and number >= shape.opening + model.whole_pieces:
                    break
                self._chunk(event)
            if model.mode == "stalled_stream":
                model.freed.wait(_LONGEST_S)
            if faulty:
                self.close_connection = True
                return
            self._chunk(b"", last=True)
        except (ConnectionError, TimeoutError):
            model.gone.set()

    def _endless(self, shape: Shape, seen: Seen) -> None:
        events = list(shape.events(seen.json, Reply("word " * 4), 5))
        for event in events[: shape.opening]:
            self._chunk(event)
        while not self.server.model.freed.wait(0.005):
            self._chunk(events[shape.opening])

    def _chunk(self, data: bytes, *, last: bool = False) -> None:
        self.wfile.write(b"0\r\n\r\n" if last else f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _json(self, status: int, value: object) -> None:
        self._bytes(status, msgspec.json.encode(value), "application/json")

    def _bytes(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class LlamaServer:
    """llama.cpp's server (as `xllamacpp` brings it) in a child process, on loopback. Its model says random things,
    but follows a schema, and tells of tokens. `embeddings`: it makes vectors, and nothing else.
    """

    def __init__(self, gguf: Path, *, embeddings: bool = False) -> None:
        self._command = [sys.executable, "-m", "tests.support.llamachild", str(gguf)]
        self._command += ["--embeddings"] if embeddings else []
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:  # llama.cpp prints other lines, too
            if line.startswith(b"spectra-url "):
                self.url = line.split()[1].decode() + "/v1"
                return self
        raise AssertionError(f"llama.cpp did not start: {self.process.wait(10)}")

    def __exit__(self, *_: object) -> None:
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()


@contextlib.contextmanager
def llama(folder: Path, *, embeddings: bool = False) -> Generator[LlamaServer]:
    """A server with a model made in `folder`."""
    path = folder / "tiny.gguf"
    if not path.exists():
        tiny_gguf(path)
    with LlamaServer(path, embeddings=embeddings) as server:
        yield server


def tiny_gguf(path: Path, *, width: int = 32, seed: int = 7) -> None:
    """Write a model of two layers with random weights that reads bytes and writes those of ASCII: 160 KB."""
    import gguf
    import numpy as np

    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), "▁".encode()]
    random = np.random.default_rng(seed)
    writer: Any = gguf.GGUFWriter(str(path), "llama")
    for name, value in (
        *(("context_length", 8192), ("embedding_length", width), ("block_count", 2), ("head_count", 4)),
        *(("feed_forward_length", width * 2), ("head_count_kv", 4), ("layer_norm_rms_eps", 1e-5)),
        *(("rope_dimension_count", width // 4), ("vocab_size", len(tokens)), ("file_type", 0)),
        *(("tokenizer_model", "llama"), ("token_list", tokens), ("token_scores", [0.0] * len(tokens))),
        *(("token_types", [2, 3, 3] + [6] * 256 + [1]), ("bos_token_id", 1), ("eos_token_id", 2)),
        *(("unk_token_id", 0), ("chat_template", _TEMPLATE)),
    ):
        getattr(writer, f"add_{name}")(value)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(tokens), width), "output": (len(tokens), width)}
    for block in ("blk.0", "blk.1"):
        shapes |= {f"{block}.attn_{part}": (width, width) for part in ("q", "k", "v", "output")}
        shapes |= {f"{block}.ffn_{part}": (width * 2, width) for part in ("gate", "up")}
        shapes |= {f"{block}.ffn_down": (width, width * 2)}
    for name, shape in shapes.items():
        weights = (random.standard_normal(shape) * 0.2).astype(np.float32)
        # The first number of every state is 1 throughout, so that a weight on it decides what is never said.
        if name == "token_embd":
            weights[:, 0] = 1
        elif name == "output":
            weights[:, 0] = [_SAYS if says else _NEVER for says in _SAID]
        elif name.endswith(("attn_output", "ffn_down")):
            weights[0] = 0
        writer.add_tensor(f"{name}.weight", weights)
    for name in ("output_norm", "blk.0.attn_norm", "blk.1.attn_norm", "blk.0.ffn_norm", "blk.1.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_SAYS: Final = 0.0
_NEVER: Final = -50.0
# Tokens: unknown, begin, end, the bytes, and a blank. It ends, and says letters and marks of ASCII.
_SAID: Final = [False, False, True, *(32 <= byte < 127 or byte == 10 for byte in range(256)), False]
_TEMPLATE: Final = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}"
    "<assistant>{% endif %}"
)
