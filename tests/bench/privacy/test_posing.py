"""The server that poses as every provider."""

from __future__ import annotations

import json

import httpx
import pytest

from spectra.bench.privacy.posing import posing

_TOOL = {"name": "note", "description": "x"}
SHAPES = [
    ("/mistral/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
    ("/claude/v1/messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}),
    ("/gemini/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]}),
]
TOOLS = [
    {"tools": [{"type": "function", "function": _TOOL}]},
    {"tools": [_TOOL]},
    {"tools": [{"functionDeclarations": [_TOOL]}]},
]


@pytest.mark.parametrize(("path", "body", "tools"), [(*shape, tool) for shape, tool in zip(SHAPES, TOOLS, strict=True)])
def test_it_says_again_what_it_is_told(path: str, body: dict[str, object], tools: dict[str, object]) -> None:
    """Whole, in a stream, and as a call of a tool; and keeps the bytes of each request once."""
    stream = path.replace(":generateContent", ":streamGenerateContent")
    with posing() as recorder, httpx.Client(base_url=recorder.origin, trust_env=False) as client:
        whole = client.post(path, json=body).text
        streamed = client.post(stream, json=body | {"stream": True}).text
        called = client.post(path, json=body | tools).text
        called_in_pieces = client.post(stream, json=body | tools | {"stream": True}).text
        seen = recorder.taken()
        assert recorder.taken() == []
    assert "hello" in whole
    assert "hello" in streamed
    assert '"note"' in called
    assert '"note"' in called_in_pieces
    assert len(seen) == 12
    assert json.loads(seen[2]) == body
    assert recorder.url("mistral").endswith("/mistral/v1")
    assert recorder.url("claude").endswith("/claude")


def test_vectors() -> None:
    """One for each text, by both protocols."""
    with posing() as recorder, httpx.Client(base_url=recorder.origin, trust_env=False) as client:
        some = client.post("/mistral/v1/embeddings", json={"input": ["a", "b"]}).json()
        one = client.post("/openai/v1/embeddings", json={"input": "a"}).json()
        google = client.post("/gemini/v1beta/models/v:batchEmbedContents", json={"requests": [{}, {}]}).json()
    assert (len(some["data"]), len(one["data"]), len(google["embeddings"])) == (2, 1, 2)
