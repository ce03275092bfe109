"""Vectors of a provider that answers in other ways than it should."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from spectra.ai.gateway.embeddings import vectors
from spectra.ai.gateway.failures import Failed
from spectra.ai.gateway.outgoing import Outgoing, render_texts
from spectra.ai.gateway.providers import Provider
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Vectors, generic
from spectra.settings.ai import ProviderSettings

ONE = {"index": 0, "embedding": [1.0, 2.0]}
TWO = {"index": 1, "embedding": [3.0, 4.0]}


def outgoing() -> Outgoing:
    """Two texts on their way."""

    def none() -> Redactor:
        raise AssertionError

    made = render_texts([generic("a"), generic("b")], "machine", none)
    assert made is not None
    return made


def answered(body: object, status: int = 200, name: str = "local", **headers: str) -> Vectors:
    """What is made of an answer."""
    provider = Provider(name, ProviderSettings(url="http://127.0.0.1:1/v1", embedding_model="m"))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=raw, headers=headers)

    async def asked() -> Vectors:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
            return await vectors(client, provider, "key", outgoing())

    return asyncio.run(asked())


def test_in_whatever_order() -> None:
    """They belong to their texts; tokens are counted where they are told."""
    made = answered({"data": [TWO, ONE], "usage": {"prompt_tokens": 4}})
    assert (made.vectors, made.usage.input, made.model) == (((1.0, 2.0), (3.0, 4.0)), 4, "m")
    assert answered({"embeddings": [{"values": [1]}, {"values": [2]}]}, name="gemini").vectors == ((1.0,), (2.0,))


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        {"data": "none"},
        {"data": [ONE]},
        {"data": [ONE, {"index": 1, "embedding": [1.0]}]},
        {"data": [ONE, {"index": 1, "embedding": []}]},
        b'{"data": [{"index": 0, "embedding": [1e999]}, {"index": 1, "embedding": [1.0]}]}',
        b"[" * 100_000,
    ],
)
def test_what_are_no_vectors(body: object) -> None:
    """Fewer than texts, of different lengths, empty, or numbers that are none: the provider failed."""
    with pytest.raises(Failed):
        answered(body)


@pytest.mark.parametrize(
    ("status", "what", "wait_s"),
    [
        (429, "passing", 9.0),
        (401, "setup", 300.0),
        (404, "setup", 60.0),
        (400, "refused", None),
        (503, "passing", None),
    ],
)
def test_statuses(status: int, what: str, wait_s: float | None) -> None:
    """As those of other requests."""
    with pytest.raises(Failed) as caught:
        answered({}, status, **{"retry-after": "9"})
    assert (caught.value.what, caught.value.wait_s) == (what, wait_s)
