"""The protocols of providers of language models, as their servers speak them: for the model of tests alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

import msgspec

_USED: Final = (11, 7)  # tokens of input and output that every answer tells of


class Reply(NamedTuple):
    """An answer: a text, calls (name, arguments as an object or JSON text), and how it ended ("": by what it is)."""

    text: str = ""
    calls: tuple[tuple[str, object], ...] = ()
    finish: str = ""

    def arguments(self, number: int) -> str:
        """The arguments of a call as JSON text."""
        told = self.calls[number][1]
        return told if isinstance(told, str) else _text(told)


class Shape(Protocol):
    """One protocol."""

    opening: int
    """Events of a stream before the first piece of text."""

    def embeds(self, path: str) -> bool: ...
    def streams(self, path: str, asked: Any) -> bool: ...
    def said(self, asked: Any) -> str: ...
    def tools(self, asked: Any) -> list[str]: ...
    def whole(self, reply: Reply) -> object: ...
    def vectors(self, asked: Any) -> object: ...
    def events(self, asked: Any, reply: Reply, piece: int) -> Iterator[bytes]: ...


def shape_of(path: str) -> Shape:
    """The protocol that a path is of."""
    if "/messages" in path:
        return _Anthropic()
    return _Gemini() if "models/" in path else _OpenAi()


class _OpenAi:
    """https://platform.openai.com/docs/api-reference/chat; Mistral, xAI, LocalAI and Ollama speak it."""

    opening = 1

    def embeds(self, path: str) -> bool:
        return path.endswith("/embeddings")

    def streams(self, path: str, asked: Any) -> bool:
        return bool(asked.get("stream"))

    def said(self, asked: Any) -> str:
        said = (m["content"] for m in reversed(asked["messages"]) if m["role"] in ("user", "tool"))
        return _joined(next(said, ""))

    def tools(self, asked: Any) -> list[str]:
        return [tool["function"]["name"] for tool in asked.get("tools") or ()]

    def whole(self, reply: Reply) -> object:
        message: dict[str, object] = {"role": "assistant", "content": reply.text}
        if reply.calls:
            message["tool_calls"] = [_call(reply, n) for n in range(len(reply.calls))]
        choice = {"index": 0, "message": message, "finish_reason": self._finish(reply)}
        return {**_OPENAI, "object": "chat.completion", "choices": [choice], "usage": _openai_usage()}

    def vectors(self, asked: Any) -> object:
        texts: list[str] = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [{"object": "embedding", "index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
        usage = {"prompt_tokens": 11, "total_tokens": 11}
        return {"id": "e", "object": "list", "model": "faulty", "data": data, "usage": usage}

    def events(self, asked: Any, reply: Reply, piece: int) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""})
        for some in _pieces(reply.text, piece):
            yield self._event({"content": some})
        for number, (name, _) in enumerate(reply.calls):
            start = {"index": number, "id": f"call{number:05d}", "type": "function"}
            if "stream_options" not in asked:  # Mistral's clients: its calls are never in pieces
                yield self._event({"tool_calls": [{"index": number, **_call(reply, number)}]})
                continue
            yield self._event({"tool_calls": [{**start, "function": {"name": name, "arguments": ""}}]})
            for some in _pieces(reply.arguments(number), piece):
                yield self._event({"tool_calls": [{"index": number, "function": {"arguments": some}}]})
        yield self._event({}, self._finish(reply))
        yield _sse({**_OPENAI, "object": "chat.completion.chunk", "choices": [], "usage": _openai_usage()})
        yield b"data: [DONE]\n\n"

    def _event(self, delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _sse({**_OPENAI, "object": "chat.completion.chunk", "choices": [choice]})

    def _finish(self, reply: Reply) -> str:
        return reply.finish or ("tool_calls" if reply.calls else "stop")


class _Anthropic:
    """https://docs.claude.com/en/api/messages and its streaming."""

    opening = 2

    def embeds(self, path: str) -> bool:
        return False

    def streams(self, path: str, asked: Any) -> bool:
        return bool(asked.get("stream"))

    def said(self, asked: Any) -> str:
        return _joined(next(m["content"] for m in reversed(asked["messages"]) if m["role"] == "user"))

    def tools(self, asked: Any) -> list[str]:
        return [tool["name"] for tool in asked.get("tools") or ()]

    def whole(self, reply: Reply) -> object:
        content: list[object] = [{"type": "text", "text": reply.text}] if reply.text else []
        content += [
            {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": msgspec.json.decode(reply.arguments(n))}
            for n, (name, _) in enumerate(reply.calls)
        ]
        return {**_ANTHROPIC, "content": content, "stop_reason": self._stop(reply), "usage": _anthropic_usage()}

    def vectors(self, asked: Any) -> object:
        raise AssertionError

    def events(self, asked: Any, reply: Reply, piece: int) -> Iterator[bytes]:
        message = {**_ANTHROPIC, "content": [], "stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
        yield self._event({"type": "message_start", "message": message})
        yield self._event(_block(0, {"type": "text", "text": ""}))
        for some in _pieces(reply.text, piece):
            yield self._event(_block_delta(0, {"type": "text_delta", "text": some}))
        yield self._event({"type": "content_block_stop", "index": 0})
        for number, (name, _) in enumerate(reply.calls, 1):
            yield self._event(_block(number, {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}))
            for some in _pieces(reply.arguments(number - 1), piece):
                yield self._event(_block_delta(number, {"type": "input_json_delta", "partial_json": some}))
            yield self._event({"type": "content_block_stop", "index": number})
        ending = {"stop_reason": self._stop(reply), "stop_sequence": None}
        yield self._event({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 7}})
        yield self._event({"type": "message_stop"})

    def _event(self, event: dict[str, object]) -> bytes:
        return f"event: {event['type']}\n".encode() + _sse(event)

    def _stop(self, reply: Reply) -> str:
        given = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
        return given.get(reply.finish, "tool_use" if reply.calls else "end_turn")


class _Gemini:
    """https://ai.google.dev/api/generate-content and its streaming by server-sent events."""

    opening = 0

    def embeds(self, path: str) -> bool:
        return "mbedContent" in path

    def streams(self, path: str, asked: Any) -> bool:
        return ":streamGenerateContent" in path

    def said(self, asked: Any) -> str:
        said = ((part, part.get("functionResponse", {}).get("response", {})) for part in asked["contents"][-1]["parts"])
        return "".join(part.get("text", "") + "".join(map(str, told.values())) for part, told in said)

    def tools(self, asked: Any) -> list[str]:
        declared = (d for tool in asked.get("tools") or () for d in tool.get("functionDeclarations") or ())
        return [one["name"] for one in declared]

    def whole(self, reply: Reply) -> object:
        return self._response([*self._text(reply.text), *self._calls(reply)], self._finish(reply))

    def vectors(self, asked: Any) -> object:
        texts = ["".join(p.get("text", "") for p in one["content"]["parts"]) for one in asked["requests"]]
        return {"embeddings": [{"values": _vector(text)} for text in texts]}

    def events(self, asked: Any, reply: Reply, piece: int) -> Iterator[bytes]:
        for some in _pieces(reply.text, piece):
            yield _sse(self._response(self._text(some), ""))
        yield _sse(self._response(self._calls(reply) or [{"text": ""}], self._finish(reply)))

    def _text(self, text: str) -> list[object]:
        return [{"text": text}] if text else []

    def _calls(self, reply: Reply) -> list[object]:
        return [
            {"functionCall": {"name": name, "args": msgspec.json.decode(reply.arguments(n))}}
            for n, (name, _) in enumerate(reply.calls)
        ]

    def _response(self, parts: list[object], finish: str) -> object:
        candidate: dict[str, object] = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        return {"candidates": [candidate], "modelVersion": "faulty", "responseId": "r", "usageMetadata": usage}

    def _finish(self, reply: Reply) -> str:
        return {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(reply.finish, "STOP")


_OPENAI: Final[dict[str, object]] = {"id": "chatcmpl-1", "created": 1700000000, "model": "faulty"}
_ANTHROPIC: Final[dict[str, object]] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "faulty",
    "stop_sequence": None,
}


def _call(reply: Reply, number: int) -> dict[str, object]:
    function = {"name": reply.calls[number][0], "arguments": reply.arguments(number)}
    return {"id": f"call{number:05d}", "type": "function", "function": function}


def _openai_usage() -> object:
    return {"prompt_tokens": _USED[0], "completion_tokens": _USED[1], "total_tokens": sum(_USED)}


def _anthropic_usage() -> object:
    return {"input_tokens": _USED[0], "output_tokens": _USED[1]}


def _block(index: int, block: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _block_delta(index: int, delta: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _joined(content: Any) -> str:
    """The text of a message's content: a string, or parts of which some are texts."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content or ():
        inner: Any = part.get("text", part.get("content", ""))
        texts.append(inner if isinstance(inner, str) else _joined(inner))
    return "".join(texts)


def _pieces(text: str, size: int) -> Iterator[str]:
    yield from (text[n : n + size] for n in range(0, len(text), size))


def _vector(text: str) -> list[float]:
    """Eight numbers that tell texts apart."""
    data = text.encode()
    return [float(sum(data[n::8]) % 97 + 1) for n in range(8)]


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _sse(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
