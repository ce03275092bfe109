"""A server that poses as every provider of language models, says what it is told again, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

_PIECE: Final = 7
_USED: Final = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Recorder:
    """Where it is, and the bytes of every request so far: path, headers, body."""

    def __init__(self) -> None:
        self.origin = ""
        self._lock = threading.Lock()
        self._seen: list[bytes] = []

    def url(self, provider: str) -> str:
        """The base URL at which it poses as `provider`."""
        return f"{self.origin}/{provider}" + ("" if provider in ("claude", "gemini") else "/v1")

    def keep(self, request: bytes) -> None:
        """One more arrived."""
        with self._lock:
            self._seen.append(request)

    def taken(self) -> list[bytes]:
        """What arrived since this was called last."""
        with self._lock:
            seen, self._seen = self._seen, []
            return seen


@contextlib.contextmanager
def posing() -> Generator[Recorder]:
    """Serve until the block ends, on a free port of loopback."""
    recorder = Recorder()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.recorder = recorder
    recorder.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    recorder: Recorder

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away: nothing is said of it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_POST(self) -> None:
        """Keep it, and say it again."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        named = "\n".join(f"{name}: {value}" for name, value in self.headers.items() if name.lower() != "host")
        for part in (self.path.encode(), named.encode(), body):
            self.server.recorder.keep(part)
        asked: dict[str, Any] = msgspec.json.decode(body)
        if self.path.endswith("/embeddings"):
            self._whole(_vectors(asked))
        elif "mbedContent" in self.path:
            self._whole({"embeddings": [{"values": [0.5, 0.5]} for _ in asked["requests"]]})
        elif "/messages" in self.path:
            self._answer(asked, _Claude(asked), streams=bool(asked.get("stream")))
        elif "models/" in self.path:
            self._answer(asked, _Gemini(asked), streams=":streamGenerateContent" in self.path)
        else:
            self._answer(asked, _Chat(asked), streams=bool(asked.get("stream")))

    def _answer(self, asked: dict[str, Any], shape: _Chat | _Claude | _Gemini, *, streams: bool) -> None:
        if not streams:
            self._whole(shape.whole())
            return
        events = b"".join(shape.events())
        self._send(events, "text/event-stream")

    def _whole(self, value: object) -> None:
        self._send(msgspec.json.encode(value), "application/json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class _Chat:
    """OpenAI's, which LocalAI, Mistral and xAI speak."""

    def __init__(self, asked: dict[str, Any]) -> None:
        last = next(m for m in reversed(asked["messages"]) if m["role"] in ("user", "tool"))
        self.said = _joined(last["content"])
        tools = asked.get("tools") or ()
        self.call = tools[0]["function"]["name"] if tools and last["role"] == "user" else ""
        self.head = {"id": "chatcmpl-1", "created": 1700000000, "model": "m"}

    def whole(self) -> object:
        message: dict[str, object] = {"role": "assistant", "content": "" if self.call else self.said}
        if self.call:
            message["tool_calls"] = [self._made()]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if self.call else "stop"}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": _USED}

    def events(self) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""})
        if self.call:
            yield self._event({"tool_calls": [{"index": 0, **self._made()}]})
        else:
            for piece in _cut(self.said):
                yield self._event({"content": piece})
        yield self._event({}, "tool_calls" if self.call else "stop")
        yield _sse({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": _USED})
        yield b"data: [DONE]\n\n"

    def _made(self) -> dict[str, object]:
        return {
            "id": "call00000",
            "type": "function",
            "function": {"name": self.call, "arguments": _arguments(self.said)},
        }

    def _event(self, delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _sse({**self.head, "object": "chat.completion.chunk", "choices": [choice]})


class _Claude:
    """Anthropic's."""

    def __init__(self, asked: dict[str, Any]) -> None:
        content = next(m for m in reversed(asked["messages"]) if m["role"] == "user")["content"]
        self.said = _joined(content)
        answers = isinstance(content, list) and any(p.get("type") == "tool_result" for p in content)  # pyright: ignore
        tools = asked.get("tools") or ()
        self.call = tools[0]["name"] if tools and not answers else ""
        self.head: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "stop_sequence": None,
        }

    def whole(self) -> object:
        used = {"type": "tool_use", "id": "toolu_1", "name": self.call, "input": {"text": self.said}}
        content = [used if self.call else {"type": "text", "text": self.said or " "}]
        stop = "tool_use" if self.call else "end_turn"
        return {**self.head, "content": content, "stop_reason": stop, "usage": {"input_tokens": 11, "output_tokens": 7}}

    def events(self) -> Iterator[bytes]:
        usage = {"input_tokens": 11, "output_tokens": 1}
        yield _named(
            {"type": "message_start", "message": {**self.head, "content": [], "stop_reason": None, "usage": usage}}
        )
        block: dict[str, object] = {"type": "text", "text": ""}
        pieces = [{"type": "text_delta", "text": piece} for piece in _cut(self.said)]
        if self.call:
            block = {"type": "tool_use", "id": "toolu_1", "name": self.call, "input": {}}
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in _cut(_arguments(self.said))]
        yield _named({"type": "content_block_start", "index": 0, "content_block": block})
        for piece in pieces:
            yield _named({"type": "content_block_delta", "index": 0, "delta": piece})
        yield _named({"type": "content_block_stop", "index": 0})
        ending = {"stop_reason": "tool_use" if self.call else "end_turn", "stop_sequence": None}
        yield _named({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 7}})
        yield _named({"type": "message_stop"})


class _Gemini:
    """Google's."""

    def __init__(self, asked: dict[str, Any]) -> None:
        parts = asked["contents"][-1]["parts"]
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        self.said = "".join(part.get("text", "") for part in parts) + "".join(
            str(one.get("response", "")) for one in answers
        )
        declared = [d for tool in asked.get("tools") or () for d in tool.get("functionDeclarations") or ()]
        self.call = declared[0]["name"] if declared and not answers else ""

    def whole(self) -> object:
        return self._made(
            [{"functionCall": {"name": self.call, "args": {"text": self.said}}}]
            if self.call
            else [{"text": self.said}],
            "STOP",
        )

    def events(self) -> Iterator[bytes]:
        if not self.call:
            for piece in _cut(self.said):
                yield _sse(self._made([{"text": piece}], ""))
            yield _sse(self._made([{"text": ""}], "STOP"))
        else:
            yield _sse(self.whole())

    def _made(self, parts: list[dict[str, object]], finish: str) -> object:
        candidate: dict[str, object] = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        return {"candidates": [candidate], "modelVersion": "m", "responseId": "r", "usageMetadata": usage}


def _vectors(asked: dict[str, Any]) -> object:
    given: Any = asked["input"]
    texts: list[str] = [given] if isinstance(given, str) else given
    data = [{"object": "embedding", "index": n, "embedding": [0.5, 0.5]} for n in range(len(texts))]
    usage = {"prompt_tokens": 11, "total_tokens": 11}
    return {"id": "e", "object": "list", "model": "m", "data": data, "usage": usage}


def _joined(content: Any) -> str:
    """The text of a message's content: a string, or parts of which some are texts."""
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = content or []
    return "".join(_joined(part.get("text", part.get("content", ""))) for part in parts)


def _arguments(said: str) -> str:
    return msgspec.json.encode({"text": said}).decode()


def _cut(text: str) -> Iterator[str]:
    yield from (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def _sse(event: object) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


def _named(event: dict[str, object]) -> bytes:
    return f"event: {event['type']}\n".encode() + _sse(event)
